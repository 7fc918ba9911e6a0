#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Management that takes long delays nobody else: commits have threads of their
# own, partners take turns, and each kind of work has its own threads.  Here a
# process keeps the registry's writer lock, so that changes of endpoints wait.

use warnings;
use strict;

use IO::Select;
use IPC::Open2;
use MIME::Base64 qw(encode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

use constant { WAITING => 128, MANAGERS => 4 };

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('orders')->feed('checked', schema => 'enforce');
$t->ctl_ok({ stdin => '{"type":"object","required":["a"]}' }, 'type',
    'register', 'order.created', '1.0.0');

my (%key, %endpoint);
for my $partner (qw(acme bolt cole dune edge)) {
    $key{$partner} = $t->partner_key($partner, feeds => '*', publish => '*',
        scopes => 'read,publish,ack,manage');
    $endpoint{$partner} = $t->endpoint($partner, feeds => 'orders',
        url => 'https://receiver.example/');
}

$t->write_file('keys', '{"keys":[{"kid":"one","kty":"oct","alg":"HS256","k":"'
    . encode_base64url('1' x 32) . '"}]}');
chmod 0600, $t->testdir . '/keys';
$t->default_conf(http => <<'HTTP', location => <<'CONF', server => <<'SERVER');
    log_format partner '$eventsync_partner $request_method $status';
    access_log %%TESTDIR%%/partners.log partner;
    eventsync_token_keys %%TESTDIR%%/keys;
HTTP
            eventsync_endpoints on;
            eventsync_catalogue on;
            eventsync_checkpoints on;
            eventsync_token on;
            eventsync_health on;
            eventsync_ready_dispatcher off;
            client_max_body_size 1m;
            client_body_buffer_size 1m;
CONF
SERVER
$t->run_nginx;

sub bearer { return (authorization => "Bearer $key{$_[0]}") }

# A change that waits for the writer lock, as an unfinished request.
sub pause {
    my ($partner) = @_;
    return $t->http_start(POST => "/v1/endpoints/$endpoint{$partner}/pause",
        { bearer($partner) }, '', timeout => 60);
}

sub list {
    my ($partner) = @_;
    return $t->http_start(GET => '/v1/endpoints', { bearer($partner) }, undef,
        timeout => 60);
}

sub answered { return IO::Select->new($_[0]{sock})->can_read(0) }

sub publish {
    my ($feed, $event) = @_;
    return $t->http(POST => "/v1/feeds/$feed/events", { bearer('edge'),
        'content-type' => 'application/cloudevents+json' }, $event);
}

sub lock_registry {
    my $pid = open2(my $out, my $in, $t->build . '/helper/writer',
        $t->store . '/registry');
    is(scalar <$out>, "locked\n", 'the registry is locked');
    return { pid => $pid, in => $in };
}

sub unlock {
    my ($lock) = @_;
    close $lock->{in};
    waitpid $lock->{pid}, 0;
    is($?, 0, 'the registry is unlocked');
}

# What edge does while the management of others waits.
sub others_work {
    my ($when) = @_;

    is(publish('orders', $t->event)->{status}, 201, "$when: a publish");
    is(publish('orders', $t->event(data => { text => 'x' x 50000 }))->{status},
        201, "$when: a large one, which a thread parses");
    is(publish('checked', $t->event(type => 'order.created',
        data => { a => 1 }))->{status}, 201, "$when: one with a schema");
    is(publish('checked', $t->event(type => 'order.created', data => {}))
        ->{status}, 422, "$when: one that does not match it");

    my $feed = $t->poll('orders', key => $key{edge});
    is(ref $feed, 'HASH', "$when: a poll");
    is($t->http(PUT => '/v1/feeds/orders/checkpoints/c', { bearer('edge'),
        'content-type' => 'application/json' },
        qq({"cursor":"$feed->{next}","rewind":true}))->{status} =~ /^20[01]$/,
        1, "$when: a checkpoint");
    is($t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        'grant_type=client_credentials&client_id='
        . (split /_/, $key{edge})[1] . "&client_secret=$key{edge}")->{status},
        200, "$when: a token");
    is($t->http(GET => '/v1/readyz')->{status}, 200, "$when: readyz");
    is($t->http(GET => '/ops/metrics')->{status}, 200, "$when: metrics");
}

others_work('nothing waits');

###############################################################################
# one partner

my $lock = lock_registry();
my @calls = map { pause('acme') } 1 .. WAITING + 4;

# one runs and the others wait, as many as may
ok(wait_for(sub { 3 == grep { answered($_) } @calls }, 20),
    'no more than ' . WAITING . ' requests of a partner wait');
my @refused = map { $t->http_end($_) } grep { answered($_) } @calls;
@calls = grep { !answered($_) } @calls;
is(scalar(grep { $_->{status} == 503 && ($_->{headers}{'retry-after'} // 0) > 0
    && $_->{body} =~ /Too many requests of this partner/ } @refused),
    scalar @refused, 'others are refused for now');

is($t->http_end(list('bolt'))->{status}, 200, 'another partner lists');
others_work('one partner waits');

###############################################################################
# as many partners as there are threads

push @calls, map { pause($_) } qw(bolt cole dune);
my $late = list('edge');
others_work('all management waits');

ok(!answered($late), 'a list waits for a thread');
truncate $t->testdir . '/partners.log', 0;
unlock($lock);

is($t->http_end($late)->{status}, 200, 'it is answered');
my @log = split /\n/, $t->read_file('partners.log');
my ($turn) = grep { $log[$_] eq 'edge GET 200' } 0 .. $#log;
cmp_ok($turn // 1000, '<=', MANAGERS + 2, 'when its partner comes in turn')
    or diag(join "\n", @log);

is(scalar(grep { $t->http_end($_)->{status} == 200 } @calls), scalar @calls,
    'all changes are made');

# who has waited to the end, is gone
is($t->http_end(list('acme'))->{status}, 200, 'the partner may list again');

###############################################################################
# clients that do not wait for their answer

$lock = lock_registry();
@calls = map { pause('acme') } 1 .. 20;
$t->reset_socket($_->{sock}) for @calls;
is($t->http_end(list('bolt'))->{status}, 200, 'clients have gone');
unlock($lock);
is($t->http_end(list('acme'))->{status}, 200, 'their requests end');

$lock = lock_registry();
@calls = map { pause('acme') } 1 .. 3;
my ($worker) = $t->workers;
ok(wait_for(sub { !grep { answered($_) } @calls }, 5), 'changes wait');
kill QUIT => $t->nginx_pid;
unlock($lock);
is(scalar(grep { $t->http_end($_)->{status} == 200 } @calls), 3,
    'a worker that exits makes them');
ok(wait_for(sub { !kill 0, $worker }, 20), 'and then ends');

ok($t->verify, 'the store is whole');

done_testing();
