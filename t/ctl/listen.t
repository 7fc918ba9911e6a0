#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl listen: it shows every event once, whatever the order in which
# webhooks come, and heals by polling what does not come at all.

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_base64);
use HTTP::Tiny;
use MIME::Base64 qw(decode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $t = Test::Eventsync->new;
my $state = $t->testdir . '/held';
our $port = $t->port(1);
our $ANSWER;                        # the last one of hook()
my $listen;

$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
$t->default_conf;
$t->run_nginx;
my $api = 'http://127.0.0.1:' . $t->port(0) . '/v1';
my @poll = ("--poll=$api/", "--key=$key", "--state=$state");

sub start {
    $listen = $t->ctl_start('listen', "--port=$port", "--secret=$SECRET", @_);
    ok(wait_for(sub { Test::Eventsync::port_open($port) }), 'listen starts')
        or diag($listen->stderr);
    return $listen;
}

# What it has said since it started: the first word and the sequence.
sub said {
    my %drop = map { $_ => 1 } @_;
    return join ' ', grep { $_ && !$drop{ (split /:/)[0] } } map {
        /^(\S+)\s+orders (?:[a-z2-7]+-(\d+) )?/ ? $1 . ($2 ? ":$2" : '') : ''
    } split /\n/, $listen->stdout;
}

sub hook {
    my ($body, %headers) = @_;
    my $at = delete $headers{at} // time;
    my $mac = hmac_sha256_base64("id.$at.$body",
        decode_base64(substr $SECRET, 6));
    $mac .= '=' while length($mac) % 4;
    $ANSWER = HTTP::Tiny->new->post("http://127.0.0.1:$port/", { content => $body,
        headers => { 'webhook-id' => 'id', 'webhook-timestamp' => $at,
        'webhook-signature' => "v1,$mac", %headers } });
    return $ANSWER->{status};
}

# A webhook that nobody stored.
sub made {
    my ($n, $prev, $epoch) = @_;
    $epoch //= 'abcd';
    $prev //= $n - 1;
    return sprintf '{"specversion":"1.0","id":"%d","source":"/s","type":"t",'
        . '"feed":"orders","sequence":"%020d","cursor":"%s-%d",'
        . '"prevcursor":"%s-%d","data":1}', $n, $n, $epoch, $n, $epoch, $prev;
}

my $nevent = 0;
sub put {
    my ($n, %attrs) = @_;
    $t->publish('orders', { key => $key }, map { { id => 'e' . ++$nevent,
        %attrs } } 1 .. $n);
    return stored();
}

sub stored { split /\n/, $t->ctl_ok('tail', 'orders') }

###############################################################################
# with nowhere to poll

start("--state=$state");
hook(made($_)) for 3, 1, 2, 2;
is(said(), 'webhook:3 late:1 late:2 duplicate:2',
    'what comes before the first webhook is not taken for a duplicate');
hook(made($_)) for 4, 9, 6, 9, 6;
is(said('late'), 'webhook:3 duplicate:2 webhook:4 gap webhook:9 duplicate:9 '
    . 'duplicate:6', 'a gap is told');
like(said(), qr/late:6 duplicate:9/, 'and what comes late is shown');
is($listen->stop('TERM'), 0, 'it ends cleanly');
is($t->read_file('held'), "orders abcd-9 5-5 7-8\n",
    'the state has the cursor and what is still missing');

start("--state=$state");
hook(made($_)) for 7, 9, 4, 8, 5;
is(said(), 'late:7 duplicate:9 duplicate:4 late:8 late:5',
    'it goes on from its state');
is($t->read_file('held'), "orders abcd-9\n", 'until nothing is missing');
hook(made(12, 9));
is(said('late', 'duplicate'), 'webhook:12',
    'a filter passes events by, that is no gap');
hook(made(1, 0, 'wxyz'));
is(said('late', 'duplicate'), 'webhook:12 reset webhook:1',
    'another epoch is told');

is(hook(made(2, 1, 'wxyz'), at => time - 1000), 400, 'an old timestamp');
is(hook(made(2, 1, 'wxyz'), at => time . 'x'), 400, 'a strange one');
is(hook(made(2, 1, 'wxyz'), 'webhook-signature' => 'v1,AAAA'), 401,
    'a wrong signature');
is(hook(made(2, 1, 'wxyz'), 'webhook-id' => ''), 400, 'no id');
is(hook($_), 400, 'signed, but no event of a feed') for '{}', 'x', '[]',
    made(2, 2), made(2) =~ s/"orders"/"..\/x"/r, made(2) =~ s/"t"/1/r;
is(hook('x' x (5 << 20)), 413, 'too large');
is(HTTP::Tiny->new->get("http://127.0.0.1:$port/")->{status}, 405, 'a GET');

# It agrees to be sent events.
my $options = HTTP::Tiny->new->request(OPTIONS => "http://127.0.0.1:$port/",
    { headers => { 'webhook-request-origin' => 'events.example' } });
is($options->{status}, 204, 'a handshake');
is($options->{headers}{'webhook-allowed-origin'}, 'events.example',
    '... is allowed');
is($options->{headers}{'webhook-allowed-rate'}, '*', '... at any rate');
is(HTTP::Tiny->new->request(OPTIONS => "http://127.0.0.1:$port/")->{status},
    405, 'other OPTIONS are not');
my $challenge = '{"specversion":"1.0","id":"check-1","source":"/eventsync",'
    . '"type":"eventsync.challenge","data":{"challenge":"abc7"}}';
is(hook($challenge), 200, 'a challenge');
is($ANSWER->{content}, '{"challenge":"abc7"}', '... is repeated');
is(hook("[$challenge]"), 200, 'so is one in a batch');
is($ANSWER->{content}, '{"challenge":"abc7"}', '... and nothing else');
is(hook($challenge, 'webhook-signature' => 'v1,AAAA'), 401,
    'one that is not signed');
is($ANSWER->{content}, '', '... is not');
is(hook($challenge =~ s/abc7/a\\"b/r), 400, 'nor is a strange one');
like($listen->stdout, qr/^handshake events\.example\nchallenge\nchallenge$/m,
    'each is a line');
unlike(said(), qr/:2$/, 'none of them is taken');
is(hook(made(2, 1, 'wxyz')), 204, 'but the right one');
$listen->stop('TERM');
unlink $state;

start("--state=$state");
hook(made(2 * $_)) for 1 .. 50;
hook(made(2 * $_ - 1)) for 1 .. 50;
is(said('webhook', 'gap'), join(' ', map { 'late:' . (2 * $_ - 1) } 1 .. 50),
    'however many are missing, none that comes late is a duplicate');
$listen->stop('TERM');
unlink $state;

###############################################################################
# healing

my @events = put(3, data => \'{"big":12345678901234567890,"real":1e999}');
start(@poll);
is(hook($events[0]), 204, 'any JSON is taken');
@events = put(250);
is(hook($events[252]), 204, 'an event after a gap is taken');
is(said('polled'), 'webhook:1 gap healed',
    'and what is missing is polled, page by page');
is(said('webhook', 'gap', 'healed'), join(' ', map { "polled:$_" } 2 .. 253),
    'every event is shown once');
is(hook($events[$_]), 204, 'a webhook that was polled already') for 1, 252;
like(said(), qr/healed duplicate:2 duplicate:253$/, 'is a duplicate');
$listen->stop('TERM');

@events = put(2);
start(@poll);
is(said(), 'polled:254 polled:255 healed',
    'what was published while it was down is polled at the start');

@events = put(7);
my ($from) = $events[260] =~ /"cursor":"([^"]+)"/;
$t->ctl_ok('feed', 'trim', 'orders', "--before=$from");
my ($last) = (stored())[-1];
is(hook($last), 204, 'events that are lost for good do not stop it');
like($listen->stdout, qr/^lost      orders 5 events expired; continues at /m,
    'it says how many');
like(said(), qr/gap lost polled:261 polled:262 healed$/, 'and goes on');

$t->ctl_ok('feed', 'reset', 'orders');
@events = put(2);
is(hook($events[1]), 204, 'a reset');
like($listen->stdout, qr/^lost      orders the feed was reset;/m, 'is told');
like(said(), qr/reset lost polled:1 polled:2 healed$/,
    'and the new epoch polled from its start');
is(hook($last), 204, 'an event of the epoch before');
like(said(), qr/stale:262$/, 'is stale');
$listen->stop('TERM');

# The poll goes past 4; then 5 follows 3 for the endpoint, and there is no gap.
start(@poll, '--types=a.*');
@events = put(1, type => 'a.x');
hook($events[2]);
put(1, type => 'b');
@events = put(1, type => 'a.y');
hook($events[4] =~ s/("prevcursor":"\w+-)4/${1}3/r);
is(said(), 'webhook:3 webhook:5', 'an endpoint\'s filter makes no gap');
put(2, type => 'b');
@events = put(2, type => 'a.z');
hook($events[8]);
is(said(), 'webhook:3 webhook:5 gap polled:8 polled:9 healed',
    'and is the filter of its polls');

###############################################################################
# when polls fail

my $bad = start_other("--key=esk_no", "--state=$state");
is(hook_to($bad, (put(2))[-1]), 503, 'a webhook that cannot be healed');
like($bad->{proc}->stderr, qr/^eventsyncctl: orders: answered 401: /m,
    'the reason is told');
is($bad->{proc}->stop('TERM'), 0, 'and it went on until it was stopped');

my $all = start_other("--key=$key", '--feeds=orders');
like($all->{proc}->stdout, qr/^polled    orders \w+-1 .*^healed/ms,
    'a named feed is polled from its oldest event');
$all->{proc}->stop('TERM');

###############################################################################
# where a new partner begins, the loss of the last webhook, a limit

my $new = start_other("--key=$key");
my @now = stored();
is(hook_to($new, $now[-1]), 204, 'the first webhook of a new partner');
like($new->{proc}->stdout, qr/^new       orders begins at the oldest event\n/,
    'which holds no cursor');
is(() = $new->{proc}->stdout =~ /^polled    orders /mg, scalar @now,
    'has it polled from the oldest event');
$new->{proc}->stop('TERM');

my $often = start_other("--key=$key", '--feeds=orders', '--poll-every=50ms');
@now = put(1);
my ($end) = $now[-1] =~ /"cursor":"([^"]+)"/;
ok(wait_for(sub { $often->{proc}->stdout =~ /^polled    orders \Q$end\E /m }),
    'an event of which no webhook comes is polled');
$often->{proc}->stop('TERM');

my $limited = start_other("--key=$key", '--feeds=orders', '--poll-every=0');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=2r/m,burst=1');
ok(wait_for(sub { $t->http(GET => '/v1/feeds/orders/events?from=latest',
    { authorization => "Bearer $key" })->{status} == 429 }), 'over the limit');
@now = put(2);
for my $try (1, 2) {
    is(hook_to($limited, $now[-1]), 503, 'a gap that may not be polled now');
    cmp_ok($ANSWER->{headers}{'retry-after'}, '>', 0,
        'is to be sent again after the time that the server asks for');
}
like($limited->{proc}->stderr, qr/answered 429: .*polls again in \d+ s, as/s,
    'it does not ask before that');
is(hook_to($limited, $now[-2]), 204, 'what needs no poll is taken');
$limited->{proc}->stop('TERM');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=');

###############################################################################
# failing on purpose

$listen->stop('TERM');
start('--status=410');
is(hook(made(1)), 410, 'a status is answered on purpose');
is(hook(made(1), at => time - 1000), 400, 'after the signature is checked');
like(said(), qr/^refused:1$/, 'and told');
$listen->stop('TERM');
start('--fail-rate=40');
my %count;
$count{ hook(made($_)) }++ for 1 .. 100;
is(join(' ', sort keys %count), '204 503', 'a share fails');
cmp_ok($count{503}, '>', 10, 'not too few');
cmp_ok($count{503}, '<', 70, 'not too many');
$listen->stop('TERM');

###############################################################################
# mistakes

for (['"--key", .* need "--poll"', '--key=x'],
    ['"--poll=x" is not a URI', '--poll=x'],
    ['"--key", .* need "--poll"', '--poll-every=1m'],
    ['"--poll-every=x" is not a duration', "--poll=$api", '--poll-every=x'],
    ['"--feeds": "A" is not', "--poll=$api", '--feeds=A'],
    ['"--status=200" is not', '--status=200'],
    ['"--fail-rate=101" is not', '--fail-rate=101'],
    ['"--address=x" is not', '--address=x'])
{
    my ($line, @args) = @$_;
    my ($rc, undef, $err) = $t->ctl('listen', "--port=$port",
        "--secret=$SECRET", @args);
    is($rc, 2, "refused: @args");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, 'in one line');
}

$t->write_file('bad', "orders\n");
my ($rc, undef, $err) = $t->ctl('listen', "--port=$port", "--secret=$SECRET",
    '--state=' . $t->testdir . '/bad');
is($rc, 1, 'a state file that is none');
like($err, qr/is not a list of feeds and cursors/, 'is refused');

done_testing();

###############################################################################

# Another receiver beside the first.
sub start_other {
    my $at = Test::Eventsync::free_port();
    my $proc = $t->ctl_start('listen', "--port=$at", "--secret=$SECRET",
        "--poll=$api", @_);
    ok(wait_for(sub { Test::Eventsync::port_open($at) }), 'another starts')
        or diag($proc->stderr);
    return { proc => $proc, port => $at };
}

sub hook_to {
    my ($other, $body) = @_;
    local $port = $other->{port};
    return hook($body);
}
