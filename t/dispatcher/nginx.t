#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A receiver that nobody here wrote: nginx, with what it does to clients.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $closed = Test::Eventsync::free_port();
$t->default_conf(http => <<'HTTP', server => <<"SERVER");
log_format hook '$uri $status $http_webhook_id $http_eventsync_attempt $content_length';
    access_log %%TESTDIR%%/hooks.log hook;
    limit_req_zone $uri zone=limited:1m rate=10r/s;
HTTP
location = /ok { return 200 "taken"; }
        location = /empty { return 204; }
        location = /error { return 500; }
        location = /busy { add_header Retry-After 1 always; return 503; }
        location = /drop { return 444; }
        location = /gone { return 410; }
        location = /moved { return 307 /ok; }
        location = /none { root %%TESTDIR%%/nowhere; }
        location = /small { client_max_body_size 10; proxy_pass http://127.0.0.1:$closed; }
        location = /backend { proxy_pass http://127.0.0.1:$closed; }
        location = /few { keepalive_requests 3; return 200; }
        location = /limited { limit_req zone=limited burst=20 nodelay; limit_req_status 429; try_files /x \@taken; }
        location \@taken { return 200; }
SERVER
$t->run_nginx;
my $base = 'http://127.0.0.1:' . $t->port(0);

sub hooks {
    my ($path) = @_;
    my @hooks = map { my %h; @h{qw(path status id attempt length)} = split; \%h }
        split /\n/, $t->read_file('hooks.log');
    return grep { $_->{path} eq $path } @hooks;
}

sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => "$base$path",
        feeds => 'orders', start => 'oldest', schedule => '0,10ms', %opts);
}

###############################################################################
# what becomes of each answer

put($t, 'orders', 1);
my %says = (
    '/ok' => 'ok 200', '/empty' => 'ok 204', '/error' => 'status 500',
    '/busy' => 'status 503', '/drop' => 'reset 0', '/gone' => 'status 410',
    '/moved' => 'redirect 307', '/none' => 'status 404',
    '/small' => 'status 413', '/backend' => 'status 502', '/few' => 'ok 200',
);
my %name = map { $_ => endpoint($_) } keys %says;
my $dispatcher = $t->run_dispatcher;
for my $path (sort keys %says) {
    my @list;
    ok(wait_for(sub { @list = attempts($t, $name{$path}) }, 20),
        "$path is tried") or next;
    is("$list[0]{class} $list[0]{status}", $says{$path},
        "... and is $says{$path}");
}
my @failed = grep { $says{$_} !~ /^ok|410|503/ } keys %says;
ok(wait_for(sub { !grep { dead($t, $name{$_}) != 1 } @failed }, 30),
    'what fails is tried again, and ends as a dead letter');
ok(wait_for(sub { hooks('/busy') >= 3 }), 'what is busy is asked on');
is(scalar dead($t, $name{'/busy'}), 0, '... and that ends no event');
ok(wait_for(sub { hooks('/error') >= 2 }), 'after all attempts');
is(scalar hooks('/error'), 2, 'and no more');
ok(wait_for(sub { hooks('/drop') == 2 }), 'closed without an answer, too')
    or diag($t->read_file('hooks.log'));
ok(wait_for(sub { hooks('/ok') }), 'what succeeds is sent');
is(scalar hooks('/ok'), 1, 'once, and 307 is not followed');
my ($wait) = map { $_->[1]{time_ms} - $_->[0]{time_ms} }
    [attempts($t, $name{'/busy'})];
cmp_ok($wait, '>=', 1000, 'Retry-After is heeded');
like($t->ctl_ok('endpoint', 'status', $name{'/gone'}), qr/stopped/,
    '410 stops an endpoint');
$t->ctl_ok('endpoint', 'remove', delete $name{$_})
    for grep { !/ok|few/ } keys %name;

###############################################################################
# connections that end, a limit, and a reload meanwhile

my $limited = endpoint('/limited', ordering => 'none', in_flight => 8,
    schedule => '0,' . join(',', ('200ms') x 31));
my @ids = put($t, 'orders', 60);
ok(wait_for(sub { hooks('/few') >= 20 }, 20), 'under way');
$t->reload;
push @ids, put($t, 'orders', 60);
for my $path ('/ok', '/few', '/limited') {
    my %taken;
    ok(wait_for(sub {
        %taken = ();
        $taken{ $_->{id} }++ for grep { $_->{status} == 200 } hooks($path);
        return !grep { !$taken{$_} } @ids;
    }, 60), "$path: every event is taken, though nginx ends connections");
}
for my $path ('/ok', '/few') {
    my @sequences = map { $_->{sequence} } attempts($t, $name{$path});
    is_deeply(\@sequences, [sort { $a <=> $b } @sequences],
        "$path: in order");
}
ok(scalar(grep { $_->{status} == 429 } hooks('/limited')),
    'the limit was met');
is(scalar(dead($t, $limited)), 0, 'and cost no event');

is($t->stop_dispatcher, 0, 'the dispatcher ends cleanly');
$t->finish;
done_testing();
