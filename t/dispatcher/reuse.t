#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Connections are kept, also after many that were never made.

use warnings;
use strict;

use IO::Socket::INET;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('dark');
my $recv = $t->receiver(200);

# A port whose queue is full: who connects has no answer at all.
my $hole = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
    // die "cannot listen: $!\n";
my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
    PeerPort => $hole->sockport, Blocking => 0) } 1 .. 8;

my $good = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest');
my @dark = map { scalar $t->endpoint('acme', feeds => 'dark',
    url => 'http://127.0.0.1:' . $hole->sockport . "/$_", start => 'oldest',
    ordering => 'none', connect_timeout => '100ms', timeout => '100ms',
    schedule => '0,10ms,10ms,10ms') } 1 .. 3;
put($t, 'orders', 1);
put($t, 'dark', 4);
$t->run_dispatcher('--max-connections=8');
ok(wait_for(sub { 3 * 4 == map { dead($t, $_) } @dark }, 60),
    'nothing can be sent to some');
my @tries = map { attempts($t, $_) } @dark;
cmp_ok(scalar(@tries), '>', 2 * 8, 'in more attempts than connections may be');
is_deeply([grep { $_->{class} ne 'timeout' } @tries], [],
    'of which none was connected');

put($t, 'orders', 6);
ok(wait_for(sub { $recv->requests == 7 }), 'the other one is sent everything');
is($t->stop_dispatcher, 0, 'the dispatcher stops');
my @reused = map { $_->{reused} } attempts($t, $good);
is_deeply([@reused[2 .. 6]], [(1) x 5], 'by one connection');

###############################################################################
# bytes that come late are no answer to the next request

for my $late ("HTTP/1.1 500 Late\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 'x' x 20_000)
{
    my $port = Test::Eventsync::free_port();
    my $server = $t->background(late => sub { serve_late($port, $late) });
    ok(wait_for(sub { $server->stdout =~ /ready/ }), 'a receiver that adds '
        . length($late) . ' bytes to its answer') or diag($server->stderr);
    my $name = $t->endpoint('acme', url => "http://127.0.0.1:$port/",
        feeds => 'orders', start => 'latest', schedule => '0');
    $t->run_dispatcher;
    ok(wait_for(sub { grep { ($_->{behind} // '') eq '0' }
        status_lines($t, $name) }), 'an endpoint');
    put($t, 'orders', 1);
    ok(wait_for(sub { $server->stdout =~ /late/ }), 'they come later');
    put($t, 'orders', 1);
    ok(wait_for(sub { attempts($t, $name) == 2 }), 'the next request');
    is_deeply([map { "$_->{class} $_->{status}" } attempts($t, $name)],
        ['ok 200', 'ok 204'], '... has an answer of its own');
    like($server->stdout, qr/second connection/, '... on another connection');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    $t->ctl_ok('endpoint', 'remove', $name);
    $server->stop('KILL');
}

# Answers 200 on its first connection and adds bytes; and 204 on the second.
sub serve_late {
    my ($port, $late) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 5, ReuseAddr => 1) // die "$!\n";
    local $SIG{PIPE} = 'IGNORE';
    $| = 1;
    print "ready\n";
    for my $status (200, 204) {
        my $peer = $listen->accept // die "$!\n";
        print "second connection\n" if $status == 204;
        my $length = 0;
        while (my $line = <$peer>) {
            $length = $1 if $line =~ /^content-length: (\d+)/i;
            last if $line eq "\r\n";
        }
        my $body;
        read $peer, $body, $length;
        syswrite $peer, "HTTP/1.1 $status OK\r\nContent-Length: 0\r\n\r\n";
        next if $status == 204;
        select undef, undef, undef, 0.3;
        syswrite $peer, $late;
        select undef, undef, undef, 0.3;
        print "late\n";
    }
    sleep 60;
    return;
}

done_testing();
