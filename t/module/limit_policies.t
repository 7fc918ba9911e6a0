#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Limits other than rates of a partner: what is under way, addresses; limits
# that only watch; changes that every worker sees; what the log is told.

use warnings;
use strict;

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders');

# nginx from plain sources has no realip module.
my $realip = `@{[ $t->nginx_binary ]} -V 2>&1` =~ /http_realip_module/;

my %key = map { $_ => $t->partner_key($_, feeds => '*', publish => '*') }
    qw(acme bolt dry hot log);

# reuseport: connections are spread over both workers, not taken by the first
my $set_real_ip = $realip
    ? 'set_real_ip_from 127.0.0.1; real_ip_header X-Client;' : '';
$t->write_file_expand('nginx.conf', <<'CONF' =~ s/%%REALIP%%/$set_real_ip/r);
events { }

http {
    eventsync_store %%STORE%%;
    keepalive_requests 100000;

    log_format limit '$uri $status $eventsync_limit_status '
                     '$eventsync_limit_policy $eventsync_limit_remaining';
    access_log %%TESTDIR%%/limit.log limit;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;
        %%REALIP%%
        add_header X-Pid $pid always;

        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_feeds on;
            eventsync_limit waits max=5;

            location /gate/ {
                eventsync_limit address rate=1r/d burst=3;
            }

            location /open/ {
                eventsync_auth off;
                eventsync_limit address rate=1r/d burst=4;
                eventsync_limit poll rate=1r/d burst=1000;
            }

            location /dry/ {
                eventsync_limit_dry_run on;
                eventsync_limit poll rate=1r/d;
                eventsync_limit publish rate=1r/d burst=2;
                eventsync_limit waits max=1;

                location /dry/gate/ {
                    eventsync_limit address rate=1r/d;
                }
            }

            location /logged/ {
                eventsync_limit poll rate=1r/d burst=2;
            }
        }

        location = /refusals {
            return 200 "$eventsync_limited_poll $eventsync_limited_publish $eventsync_limited_waits $eventsync_limited_address $eventsync_limited_dry_run_poll $eventsync_limited_dry_run_publish $eventsync_limited_dry_run_waits $eventsync_limited_dry_run_address $eventsync_limited_nothing";
        }
    }
}
CONF
$t->run_nginx;
$t->allow_errors(qr/exited on signal 9/);

my $events = '/feeds/orders/events';

sub auth { return { authorization => 'Bearer ' . ($key{ $_[0] } // $_[0]) } }

sub get {
    my ($place, $who, %opts) = @_;
    return $t->http(GET => $place . $events, $who ? auth($who) : {}, undef,
        %opts);
}

sub json { return Test::Eventsync::json($_[0]{body}) }

sub refused_by {
    my ($answer) = @_;
    return join ',', $answer->{status},
        @{ (json($answer) // {})->{'violated-policies'} // [] };
}

sub refusals { return split ' ', $t->http(GET => '/refusals')->{body} }

###############################################################################
# under way

sub wait_on {
    my ($who, $place) = @_;
    return $t->http_start(GET => ($place // '') . "$events?from=latest&wait=60",
        auth($who));
}

sub answered {
    my (@calls) = @_;
    return grep { IO::Select->new($_->{sock})->can_read(0) } @calls;
}

sub unanswered {
    my (@calls) = @_;
    my %answered = map { $_ => 1 } answered(@calls);
    return grep { !$answered{$_} } @calls;
}

# Nine that would wait, for whom there should be so many places; those that
# have one, once the others are refused.
sub fill {
    my ($places) = @_;
    my @calls = map { wait_on('acme') } 1 .. 9;
    wait_for(sub { answered(@calls) >= 9 - $places }, 20);
    sleep 0.2;
    return unanswered(@calls);
}

# How many wait, as told to one who asks as if he would and need not.
sub held {
    my $seen = $t->http(GET => "$events?from=oldest&wait=1", auth('acme'));
    my ($left) = $seen->{headers}{ratelimit} =~ /"waits";r=(\d+)/;
    return $seen->{status} == 429 ? 5 : 4 - $left;
}

$t->publish('orders', { id => 'w1' });
is(held(), 0, 'nobody waits');
my @calls = map { wait_on('acme') } 1 .. 9;
ok(wait_for(sub { answered(@calls) >= 4 }, 20), 'nine would wait, of five');
my @waiting = unanswered(@calls);
is(@waiting, 5, 'five do');
my $answer = $t->http_end((answered(@calls))[0]);
is(refused_by($answer), '429,waits', 'others are refused');
is($answer->{headers}{'ratelimit-policy'},
    '"waits";q=5;qu="concurrent-requests"', 'policy');
is($answer->{headers}{ratelimit}, '"waits";r=0', 'nothing left');
ok($answer->{headers}{'retry-after'}, 'retry-after');
is(get('', 'acme')->{status}, 200, 'who does not wait is not refused');
is(held(), 5, 'nor counted');

close((pop @waiting)->{sock}) for 1 .. 2;
ok(wait_for(sub { held() == 3 }, 20), 'who leaves is not counted');
push @waiting, fill(2);
is(@waiting, 5, 'and makes room');

$t->publish('orders', { id => 'w2' });
is(scalar(grep { $t->http_end($_)->{status} == 200 } @waiting), 5,
    'all are answered');
@waiting = fill(5);
is(@waiting, 5, 'and can wait again');

# With four that wait, a fifth one has its place each time, though it asks as
# soon as it has an answer.
close((pop @waiting)->{sock});
ok(wait_for(sub { held() == 4 }, 20), 'four wait');
my $again = 0;
for (1 .. 20) {
    $again += $t->http(GET => "$events?from=oldest&wait=60",
        auth('acme'))->{status} == 200;
}
is($again, 20, 'one that waits again and again always may');
$t->publish('orders', { id => 'w3' });
$t->http_end($_) for @waiting;

###############################################################################
# a worker is killed

sub dead {
    my (@calls) = @_;
    return grep { IO::Select->new($_->{sock})->can_read(0)
        && !sysread $_->{sock}, my $byte, 1 } @calls;
}

@waiting = fill(5);
is(@waiting, 5, 'five wait in two workers');
my ($victim) = $t->workers;
kill KILL => $victim;
ok(wait_for(sub { my @now = $t->workers;
    @now == 2 && !grep { $_ == $victim } @now }, 20), 'one is killed');
my %dead = map { $_ => 1 } dead(@waiting);
my $lost = keys %dead;
@waiting = grep { !$dead{$_} } @waiting;
my @more = fill($lost);
is(@more, $lost, "the $lost it held, and no more, can wait again");
push @waiting, @more;

###############################################################################
# reload, with an old worker that cannot end

my ($frozen) = $t->workers;
kill STOP => $frozen;
kill HUP => $t->nginx_pid;
ok(wait_for(sub { 2 == grep { $_ != $frozen } $t->workers }, 20)
    && wait_for(sub { 3 == Test::Eventsync::children($t->nginx_pid) }, 20),
    'new workers serve beside an old one');
my @gone = answered(@waiting);
@waiting = unanswered(@waiting);
@more = fill(scalar @gone);
is(@more, @gone, 'what the old one holds ('
    . scalar(@waiting) . ') counts in the new ones');
kill KILL => $frozen;
ok(wait_for(sub { 2 == Test::Eventsync::children($t->nginx_pid) }, 20),
    'it is killed, and none comes in its place');
push @more, fill(5 - @more);
is(@more, 5, 'what it held is free');
$t->publish('orders', { id => 'end' });
$t->http_end($_) for @more;

###############################################################################
# addresses

# A connection that comes from another address of this machine.
sub from {
    my ($address) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
        PeerPort => $t->port(0), LocalAddr => $address) || die "$address: $!\n";
}

sub knock {
    my ($who, $address) = @_;
    return get('/gate', $who, socket => from($address // '127.0.0.1'));
}

is(knock('acme')->{status}, 200, 'a good key is not charged') for 1 .. 5;
is(knock('esk_none')->{status}, 401, 'a bad key');
(my $wrong = $key{acme}) =~ s/_(.)/$1 eq 'a' ? '_b' : '_a'/e;
is(knock($wrong)->{status}, 401, 'an unknown key');
is(knock(undef)->{status}, 401, 'no key');
$answer = knock('esk_none');
is(refused_by($answer), '429,address', 'then none is looked at');
ok($answer->{headers}{'retry-after'} > 80000, 'until it is earned');
is($answer->{headers}{'ratelimit-policy'}, '"address";q=3;w=259200', 'policy');
is(refused_by(knock('acme')), '429,address', 'not even a good one');
is(knock('acme', '127.0.0.2')->{status}, 200, 'elsewhere it is');
is(knock('esk_none', '127.0.0.2')->{status}, 401, 'an address of its own');
is(get('', 'acme')->{status}, 200, 'a location that does not ask does not judge');
ok($t->reload, 'reload');
is(refused_by(knock('acme')), '429,address', 'it lives on');
like($t->read_file('error.log'),
    qr/\[info\].* eventsync limits client "127\.0\.0\.1" by "address",/,
    'log says so');

SKIP: {
    skip 'no realip module', 6 unless $realip;
    my $as = sub { $t->http(GET => "/gate$events", { %{ auth($_[0]) },
        'x-client' => $_[1] })->{status} };

    is($as->('esk_none', "2001:db8:0:1::$_"), 401, "a network's address $_")
        for 1 .. 3;
    is($as->('acme', '2001:db8:0:1:ffff::4'), 429, 'all of a /64 are one');
    is($as->('acme', '2001:db8:0:2::4'), 200, 'the next network is another');
    $as->('esk_none', '127.0.0.9') for 1 .. 3;
    is($as->('acme', '::ffff:127.0.0.9'), 429,
        'an IPv4 address is the same in IPv6');
}

my $there = '127.0.0.3';
$answer = get('/open', undef, socket => from($there));
is($answer->{status}, 200, 'without authentication');
like($answer->{headers}{ratelimit}, qr/^"poll";r=999;t=\d+, "address";r=3;t=\d+$/,
    'each request is charged to the address as well');
is($t->http(GET => "/open$events", { 'if-none-match' =>
    $answer->{headers}{etag} }, undef, socket => from($there))->{status}, 304,
    'unchanged is free') for 1 .. 5;
is(get('/open', undef, socket => from($there))->{status}, 200, 'more of it')
    for 2 .. 4;
$answer = get('/open', undef, socket => from($there));
is(refused_by($answer), '429,address', 'and no more');
like($answer->{headers}{ratelimit}, qr/"poll";r=996;/,
    'the policy that did not refuse is not charged');
is(get('/open', undef, socket => from('127.0.0.4'))->{status}, 200,
    'another address is');

###############################################################################
# dry run

my @before = refusals();
is(scalar(grep { get('/dry', 'dry')->{status} == 200 } 1 .. 5), 5,
    'dry run: nothing is refused');
is($t->http(POST => "/dry$events", { %{ auth('dry') }, 'content-type' =>
    'application/x-ndjson' }, join "\n", map { $t->event } 1 .. 3)->{status},
    201, 'nor what is over the burst');
is(get('/dry/gate', 'esk_none', socket => from('127.0.0.5'))->{status}, 401,
    'nor by address') for 1 .. 3;
is(get('/dry/gate', 'bolt', socket => from('127.0.0.5'))->{status}, 200,
    'nor who is good there');
my @dry = map { wait_on('bolt', '/dry') } 1 .. 2;
ok(wait_for(sub { (refusals())[6] - $before[6] == 1 }, 20), 'nor who waits');
is(scalar(answered(@dry)), 0, 'both do') or diag($t->http_end($dry[0])->{head});
$t->publish('orders', { id => 'dry' });
$t->http_end($_) for @dry;

# Of five polls all but the first.  Bolt's second one waits and is a poll, too,
# which is over the limit unless both came to two workers at the same instant.
my @after = refusals();
like(join(' ', map { $after[$_] - $before[$_] } 0 .. 7),
    qr/^0 0 0 0 [45] 1 1 3$/, 'but counted by policy');
ok(wait_for(sub { 4 <= (() = $t->read_file('limit.log')
    =~ m{^/dry$events 200 REJECTED_DRY_RUN poll 0$}mg) }, 5), 'and logged');
like($t->read_file('error.log'),
    qr/\[info\].* eventsync limits partner "dry" by "poll", dry run,/,
    'in both logs');
cmp_ok($before[2], '>=', 4, 'refusals proper are counted apart');

###############################################################################
# log

get('/logged', 'log') for 1 .. 3;
get('/logged', 'esk_none');
ok($t->logged('limit.log', qr{^/logged.* 401 }m, 5),
    'all is logged');
is(join('', $t->read_file('limit.log') =~ m{^(/logged.*\n)}mg), <<"LOG",
/logged$events 200 PASSED poll 1
/logged$events 200 PASSED poll 0
/logged$events 429 REJECTED poll 0
/logged$events 401 - - -
LOG
    'status, policy, what remains');

###############################################################################
# changes

# Connections to each of the workers, kept open.
my %worker;
ok(wait_for(sub {
    my $kept = $t->socket;
    my $seen = get('', 'hot', socket => $kept);
    $worker{ $seen->{headers}{'x-pid'} } = $kept;
    return keys %worker == 2;
}, 20), 'a connection to each worker');

sub everywhere {
    my ($code) = @_;
    return join ' ', map { $code->($worker{$_}) } sort keys %worker;
}

sub policy {
    my ($header) = shift->{headers}{'ratelimit-policy'} // '-';
    return $header;
}

sub publish_by {
    my ($connection) = @_;
    return $t->http(POST => $events, { %{ auth('hot') }, 'content-type' =>
        'application/json' }, $t->event, socket => $connection);
}

is(everywhere(sub { policy(get('', 'hot', socket => $_[0])) }), '- -',
    'no limit');
for my $n (100, 200) {
    $t->ctl_ok('partner', 'change', 'hot', "--limit-poll=1r/h,burst=$n",
        "--limit-publish=1r/h,burst=$n", '--limit-waits=' . $n / 100);
    my $w = 3600 * $n;
    is(everywhere(sub { policy(get('', 'hot', socket => $_[0])) }),
        join(' ', (qq("poll";q=$n;w=$w)) x 2), "every worker: poll $n");
    is(everywhere(sub { policy(publish_by($_[0])) }),
        join(' ', (qq("publish";q=$n;w=$w)) x 2), "every worker: publish $n");
    is(everywhere(sub { policy($t->http(GET => "$events?from=latest&wait=1",
        auth('hot'), undef, socket => $_[0])) =~ s/^.*, //r }),
        join(' ', (qq("waits";q=@{[ $n / 100 ]};qu="concurrent-requests")) x 2),
        'every worker: waits ' . $n / 100);
}
$t->ctl_ok('partner', 'change', 'hot', '--limit-poll=default',
    '--limit-publish=default', '--limit-waits=default');
is(everywhere(sub { policy(get('', 'hot', socket => $_[0])) }), '- -',
    'and back');

is(policy($t->http(GET => '/logged/feeds', auth('hot'))),
    '"poll";q=2;w=172800', 'a list of feeds is a poll');

done_testing();
