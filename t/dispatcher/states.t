#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dispatcher reports a stall at once: as the endpoint's state, in the status,
# in metrics, in the log and by an operational event; so is its end.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Metrics;
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
$t->feed($_) for qw(ops other many);
$t->{partners}{acme} = 1;
$t->ctl_ok('partner', 'change', 'acme', '--operations=ops');
my $key = $t->partner_key('acme', scopes => 'read,manage');
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_endpoints on; }
        location /ops/ { eventsync_metrics endpoints; eventsync_auth off; }
    }
}
CONF
$t->run_nginx;

# What is of the type "bad" is answered with what stands in the file of the
# path, which may also be a header field; all else is taken.
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my $file = $t->testdir . $request->{path};

    return 200 if $request->{body} !~ /"type":"(?:bad|feed\.poll)"/ || !-e $file;
    my ($status, $after) = split ' ', $t->read_file(substr $request->{path}, 1);
    return { status => $status,
        $after ? (headers => { 'retry-after' => $after }) : () };
});
sub answers { my ($path, $how) = @_; $t->write_file($path, $how) }
sub takes { unlink $t->testdir . "/$_[0]" }
sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders', start => 'oldest', schedule => '0,1h,2h', %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq "/$path" } $recv->requests }

sub objects { map { Test::Eventsync::json($_) }
    split /\n/, $t->ctl_ok('endpoint', 'status', @_, '--json') }
sub of_kind { my ($kind, $name) = @_; grep { $_->{kind} eq $kind }
    objects($name) }
sub state { (of_kind('state', $_[0]))[0]{state} }
sub stalled { (of_kind('stalled', $_[0]))[0] }
sub told { my ($name) = @_; grep { $_->{subject} eq $name }
    map { Test::Eventsync::json($_) } stored($t, 'ops') }
sub types { join ' ', map { $_->{type} } told($_[0]) }
sub logged { my ($name, $text) = @_;
    my @lines = $t->{dispatcher}->stderr =~ /endpoint $name\b.*$text.*/g;
    return @lines }
sub metrics {
    my ($metrics, @faults) = parse_metrics(
        $t->http(GET => '/ops/metrics')->{body});
    die "@faults\n" if @faults;
    return $metrics;
}
sub gauge { metrics()->{"eventsync_$_[0]"} // 'none' }
sub shown { my ($name) = @_;
    my $r = $t->http(GET => "/v1/endpoints/$name/status",
        { authorization => "Bearer $key" });
    return Test::Eventsync::json($r->{body}) }

###############################################################################
# one event blocks a fifo feed

put($t, 'orders', { type => 'good' }, { type => 'bad' }, { type => 'good' });
my @events = map { Test::Eventsync::json($_) } stored($t, 'orders');
answers(fifo => 503);
my $fifo = endpoint('fifo');
$t->run_dispatcher;
ok(wait_for(sub { state($fifo) eq 'stalled' }), 'a feed in order is stalled');

my $stall = stalled($fifo);
is_deeply([@{$stall}{qw(feed reason cursor id type attempts status)}],
    ['orders', 'event', $events[1]{cursor}, $events[1]{id}, 'bad', 1, 503],
    'by the event that failed, which is named');
my ($retry) = of_kind('retry', $fifo);
is($stall->{next}, $retry->{next}, 'until it is tried again');
my $wait = time_ms($stall->{dead_at}) - time_ms($stall->{next});
ok($wait >= 0.8 * 7200_000 && $wait <= 1.2 * 7200_000,
    'or is a dead letter, by the rest of its schedule');
cmp_ok(abs(time_ms($stall->{since}) - time_ms((attempts($t, $fifo))[-1]{line}
    =~ /^(\S+)/ ? $1 : '')), '<', 60_000, 'since it failed');

my $status = shown($fifo);
is($status->{state}, 'stalled', 'the state is the same by HTTP');
my ($same) = grep { $_->{kind} eq 'stalled' } @{ $status->{deliveries} };
is_deeply({ %$same, endpoint => $fifo }, $stall, 'so is the event that blocks it');
is(gauge('endpoints{state="stalled"}'), 1, 'it is counted');
is(gauge(qq(endpoint_state{endpoint="$fifo",partner="acme",state="stalled"})),
    1, 'and shown in metrics');
is(gauge('delivery_stalled{reason="event"}'), 1, 'with the reason');
cmp_ok(gauge('delivery_stalled_age_seconds'), '<', 600, 'and for how long');

ok(wait_for(sub { told($fifo) }), 'it is told by an operational event');
my ($event) = told($fifo);
is($event->{type}, 'endpoint.stalled', 'of this type');
is_deeply([@{ $event->{data} }{qw(endpoint feed reason cursor id type since
    next dead_at waiting)}], [$fifo, @{$stall}{qw(feed reason cursor id type
    since next dead_at)}, 1], 'with all of it');
is(scalar logged($fifo, quotemeta qq(is blocked by event $stall->{cursor}, id )
    . qq("$stall->{id}", type "bad")), 1, 'the log has a line of it');

is($t->stop_dispatcher('KILL'), 137, 'killed');
$t->run_dispatcher;
put($t, 'orders', 1);
ok(wait_for(sub { (of_kind('progress', $fifo))[0]{behind} == 2 }),
    'the feed goes on to stand after a restart');
is(state($fifo), 'stalled', 'the state is the same');
is(stalled($fifo)->{since}, $stall->{since}, 'since the same time');

$t->ctl_ok('endpoint', 'change', $fifo, '--schedule=0,1s,1h');
ok(wait_for(sub { (stalled($fifo) // {})->{attempts} == 2 }),
    'it fails again');
is(types($fifo), 'endpoint.stalled', 'which is not told once more');
takes('fifo');
$t->ctl_ok('endpoint', 'change', $fifo, '--schedule=0,1s');
ok(wait_for(sub { state($fifo) eq 'active' }), 'when it is taken it moves');
is(stalled($fifo), undef, 'nothing stands');
ok(wait_for(sub { told($fifo) == 2 }), 'which is told');
is(types($fifo), 'endpoint.stalled endpoint.unstalled', 'by another type');
($event) = (told($fifo))[1];
is_deeply([@{ $event->{data} }{qw(feed reason since)}],
    ['orders', 'event', $stall->{since}], 'with what stood');
is(scalar logged($fifo, 'makes progress again'), 1, 'and in the log');

###############################################################################
# the last event of a feed fails, and nothing waits for it

put($t, 'other', { type => 'good' }, { type => 'bad' });
answers(last => 400);
my $last = endpoint('last', feeds => 'other');
ok(wait_for(sub { retries($t, $last) }), 'the last event of a feed fails');
is(state($last), 'active', 'which stops no other');
put($t, 'other', 1);
ok(wait_for(sub { state($last) eq 'stalled' }), 'until one comes behind it');
$t->ctl_ok('endpoint', 'change', $last, '--types=bad');
ok(wait_for(sub { (of_kind('retry', $last))[0]{attempts} == 2
    && state($last) eq 'active' }), 'that it is to be sent');
$t->ctl_ok('endpoint', 'remove', $last);
ok(wait_for(sub { gauge('delivery_stalled{reason="event"}') == 0 }),
    'what is removed stands no more');

###############################################################################
# a subject stands, and others move

put($t, 'many', { type => 'good', subject => 'B' },
    { type => 'bad', subject => 'A "quoted"' },
    (map { { type => 'good', subject => 'A "quoted"' } } 1 .. 40),
    { type => 'good', subject => 'B' });
answers(key => 400);
my $subject = endpoint('key', feeds => 'many', ordering => 'key');
ok(wait_for(sub { stalled($subject) && came('key') == 3 }),
    'a subject stands');
$stall = stalled($subject);
is_deeply([@{$stall}{qw(reason subject subjects)}],
    ['subject', 'A "quoted"', 1], 'which is named');
is(state($subject), 'active', 'the endpoint moves');
ok(wait_for(sub { types($subject) eq 'subject.stalled' }), 'it is told');
my ($waiting) = of_kind('waiting', $subject);
is_deeply([@{$waiting}{qw(retries held statuses)}], [1, 40, { 400 => 1 }],
    'of what waits there is a total');
is(scalar(grep { $_->{kind} =~ /^(?:retry|held)$/ } objects($subject)), 10,
    'and the first ten');
my @lines = split /\n/, $t->ctl_ok('endpoint', 'status', $subject);
is(scalar @lines, 14, 'in a few lines');
like($lines[3], qr/ waiting: retries=1 held=40 statuses=400:1$/,
    'one of which is the total');
takes('key');
$t->ctl_ok('endpoint', 'change', $subject, '--schedule=0,1s');
ok(wait_for(sub { types($subject) eq 'subject.stalled subject.unstalled' }),
    'when it is taken the subject moves, which is told');
$t->ctl_ok('endpoint', 'remove', $subject);

###############################################################################
# the receiver asks for a long pause, does not take a nudge

answers(pause => '429 3600');
my $pause = endpoint('pause', ordering => 'none', in_flight => 1,
    start => 'latest');
ok(wait_for(sub { of_kind('progress', $pause) }), 'an endpoint');
put($t, 'orders', { type => 'bad' });
ok(wait_for(sub { state($pause) eq 'stalled' }), 'that asks for a long pause');
$stall = stalled($pause);
is($stall->{reason}, 'throttled', 'is stalled for that reason');
ok(!exists $stall->{feed}, 'with all of its feeds');
cmp_ok(abs(time_ms($stall->{next}) - time() * 1000 - 3600_000), '<', 60_000,
    'until the pause ends');
takes('pause');
$t->ctl_ok('endpoint', 'change', $pause, '--timeout=9s');
ok(wait_for(sub { types($pause) eq 'endpoint.stalled endpoint.unstalled' }),
    'a change ends it');
$t->ctl_ok('endpoint', 'remove', $pause);

answers(nudge => 500);
my $nudge = endpoint('nudge', nudge => 2);
ok(wait_for(sub { state($nudge) eq 'stalled' }), 'a nudge that is not taken');
is(stalled($nudge)->{reason}, 'nudge', 'stalls an endpoint');
takes('nudge');
$t->ctl_ok('endpoint', 'change', $nudge, '--timeout=9s');
ok(wait_for(sub { state($nudge) eq 'active' }), 'until it is');
$t->ctl_ok('endpoint', 'remove', $nudge);

###############################################################################
# each state, the same everywhere

answers(state => 400);
my %in = map { $_ => endpoint("state", feeds => 'orders') }
    qw(stalled paused stopped failing);
$in{active} = $fifo;
$in{disabled} = do {
    $t->ctl_ok('partner', 'create', 'bolt', '--feeds=orders', '--disabled');
    scalar $t->endpoint('bolt', url => $recv->url('/state'),
        feeds => 'orders');
};
answers(stop => 410);
ok(wait_for(sub { state($in{$_}) eq 'stalled' }), "an endpoint stands: $_")
    for qw(stalled paused stopped failing);
$t->ctl_ok('endpoint', 'change', $in{failing}, '--url=http://127.0.0.1:1/',
    '--schedule=' . join ',', '0', ('3s') x 31);
$t->ctl_ok('endpoint', 'change', $in{stopped}, '--url='
    . $recv->url('/stop'));
ok(wait_for(sub { state($in{stopped}) eq 'stopped' }),
    'stopped is before stalled');
$t->ctl_ok('endpoint', 'pause', $in{paused});
is(state($in{paused}), 'paused', 'so is paused');
ok(wait_for(sub { state($in{failing}) eq 'failing' }, 40), 'so is failing');

my %lines = $t->ctl_ok('endpoint', 'status') =~ /^(\S+) state=(\w+)$/mg;
for my $state (sort keys %in) {
    my $partner = $state eq 'disabled' ? 'bolt' : 'acme';
    is($lines{$in{$state}}, $state, "state in the status: $state");
    is(shown($in{$state})->{state}, $state, '... by HTTP')
        if $state ne 'disabled';
    is(gauge(qq(endpoint_state{endpoint="$in{$state}",partner="$partner",)
        . qq(state="$state"})), 1, '... in metrics');
    is(gauge(qq(endpoints{state="$state"})), 1, '... and counted');
}
$t->ctl_ok('endpoint', 'remove', $_) for values %in;
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

###############################################################################
# as many wait as may

my $full = endpoint('full', feeds => 'other', ordering => 'none',
    start => 'latest');
my $beside = endpoint('beside', feeds => 'other', ordering => 'none',
    start => 'latest');
answers(full => 400);
$t->run_dispatcher('--max-waiting=20');
ok(wait_for(sub { of_kind('progress', $full) && of_kind('progress', $beside) }),
    'room for few');
put($t, 'other', (map { { type => 'bad' } } 1 .. 60), { type => 'good' });
ok(wait_for(sub { state($full) eq 'stalled' }), 'is soon taken');
is(stalled($full)->{reason}, 'full', 'which is the reason');
ok(wait_for(sub { types($full) eq 'endpoint.stalled' }), 'it is told');
ok(wait_for(sub { came('beside') == 61 }), 'others are sent all of it');
cmp_ok(scalar came('full'), '<', 10 + 32 + 1, 'what fails is bounded');
takes('full');
$t->ctl_ok('endpoint', 'change', $full, '--schedule=0,1s');
ok(wait_for(sub { state($full) eq 'active'
    && grep { $_->{body} =~ /"good"/ } came('full') }),
    'when events are taken it moves');
ok(wait_for(sub { types($full) eq 'endpoint.stalled endpoint.unstalled' }),
    'which is told');
$t->ctl_ok('endpoint', 'remove', $_) for $full, $beside;
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

###############################################################################
# no access token; the proxy

answers(token => 500);
my $tokens = $t->receiver(sub { -e $t->testdir . '/token' ? 500
    : { status => 200, headers => { 'content-type' => 'application/json' },
        body => '{"access_token":"x","token_type":"Bearer"}' } });
my $token = endpoint('token-user', oauth => '{"token_url":"' . $tokens->url
    . '","client_id":"c","client_secret":"s"}');
$t->run_dispatcher;
ok(wait_for(sub { state($token) eq 'stalled' }), 'without a token');
is(stalled($token)->{reason}, 'token', 'nothing is sent');
takes('token');
ok(wait_for(sub { state($token) eq 'active' }, 20), 'until there is one');
is(types($token), 'endpoint.stalled endpoint.unstalled', 'both are told');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

put($t, 'orders', 1);
$t->run_dispatcher('--proxy=http://127.0.0.1:1');
ok(wait_for(sub { state($token) eq 'stalled' }), 'without the proxy');
is(stalled($token)->{reason}, 'proxy', 'nobody is sent anything');
is(gauge('delivery_stalled{reason="proxy"}'), 1, 'it is counted once');
is(gauge('endpoints{state="stalled"}'), 1, 'with all endpoints');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
$t->run_dispatcher;
ok(wait_for(sub { state($token) eq 'active' }), 'without it they are');
$t->ctl_ok('endpoint', 'remove', $token);

###############################################################################
# operational events that nobody takes

$t->feed('gone');
$t->partner('dull', feeds => 'orders', operations => 'gone');
$t->allow_errors(qr/was dropped/);
$t->ctl_ok('feed', 'remove', 'gone');
answers(dull => 410);
my $dull = $t->endpoint('dull', url => $recv->url('/dull'), feeds => 'orders',
    start => 'oldest');
ok(wait_for(sub { gauge('operational_events_dropped_total') == 1 }),
    'an event for a feed that is gone is counted');
is(gauge('operational_events_waiting'), 0, 'and does not wait');
$t->ctl_ok('endpoint', 'remove', $dull);
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

###############################################################################
# an event that cannot be read

$t->feed('broken');
put($t, 'broken', { type => 'good' },
    { type => 'good', data => 'XXXXXXXX' }, { type => 'good' });
$t->stop_nginx;
{
    my $file = $t->store . '/log/data.mdb';
    open my $fh, '+<:raw', $file or die "$file: $!";
    my $data = do { local $/; <$fh> };
    while ($data =~ /XXXXXXXX/g) {
        seek $fh, $-[0], 0;
        print $fh 'YYYYYYYY';
    }
    close $fh or die;
}
$t->allow_errors(qr/cannot read event/);
my $broken = endpoint('broken', feeds => 'broken');
$t->run_dispatcher;
ok(wait_for(sub { state($broken) eq 'stalled' }), 'an event is damaged');
is(stalled($broken)->{reason}, 'unreadable', 'for that reason');
like(stalled($broken)->{cursor}, qr/-[12]$/, 'it is named');
my ($progress) = of_kind('progress', $broken);
ok(exists $progress->{seconds} && !defined $progress->{seconds}, 'its age is unknown');
ok(wait_for(sub { types($broken) eq 'endpoint.stalled' }), 'and told');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
$t->ctl_ok('endpoint', 'remove', $broken);

###############################################################################
# a secret that cannot be decrypted

{
    my ($old, $new) = map { encode_base64($_ x 32, '') } 'A', 'B';
    $t->write_file($_->[0], $_->[1]), chmod 0600, $t->testdir . "/$_->[0]"
        for ['old', "$old\n"], ['both', "$new\n$old\n"];
    my $dir = $t->testdir;
    $t->ctl_ok('store', 'rekey', "--key-file=$dir/old");
    $t->allow_errors(qr/cannot be decrypted|has no secret/, qr/key/);
    $t->run_dispatcher("--key-file=$dir/old");
    ok(wait_for(sub { $t->{dispatcher}->stderr =~ /eventsync-dispatcher \S+ on / }),
        'a dispatcher runs');
    my ($locked) = $t->ctl_ok('endpoint', 'create', 'acme', '--url='
        . $recv->url('/locked'), '--feeds=orders', "--key-file=$dir/both")
        =~ /(ep_\w+)/;
    ok(wait_for(sub { state($locked) eq 'stalled' }), 'a key is missing');
    is(stalled($locked)->{reason}, 'secret', 'for that reason');
    ok(wait_for(sub { types($locked) eq 'endpoint.stalled' }), 'it is told');
    is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
}

my (undef, undef, $err) = $t->ctl('endpoint', 'status');
is($err, '', 'the status is of now as long as the dispatcher was seen');

done_testing();
