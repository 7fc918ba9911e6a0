#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A client that vanishes without a word, as one does that changes its network:
# it comes back from another address, and has its place as soon as the server can
# know that nobody acknowledges what the old stream is sent.

use warnings;
use strict;

use IO::Socket::INET;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Reader;

# In a network namespace of its own, whose addresses may go.
if (!$ENV{ES_NETNS}) {
    plan skip_all => 'needs unshare, ip and the right to use them'
        if system('unshare --net ip link set lo up 2>/dev/null') != 0;
    $ENV{ES_NETNS} = 1;
    exec 'unshare', '--net', $^X, '-It/lib', $0;
}
system('ip link set lo up') == 0 or die "no loopback\n";
system('ip addr add 10.9.9.9/32 dev lo') == 0 or die "no address\n";

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => '*', scopes => 'read');
my $master = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_sse on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_sse_heartbeat 500ms;
            eventsync_limit waits max=1;
        }
    }
}
CONF
$t->run_nginx;

my $orders = '/v1/feeds/orders/events';
my $sock = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $t->port(0),
    LocalAddr => '10.9.9.9') or die "no connection\n";
my $call = { sock => $sock, buf => '' };
$t->send_all($sock, "GET $orders?from=latest HTTP/1.1\r\nHost: x\r\n"
    . "Accept: text/event-stream\r\nAuthorization: Bearer $key\r\n\r\n");
my $text = Test::Eventsync::read_until($call, '"}', time + 20);
my ($id) = $text =~ /^id: (\S+)$/m;
ok($id, 'a stream');

sub back {
    my $reader = Test::Eventsync::Reader->new($t, $orders, $key,
        'last-event-id' => $id);
    $reader->await(sub { @{ $_[0]{all} } });
    return $reader;
}

is(back()->problem->{status}, 429,
    'who comes from another address is refused, for now');
is(system('ip addr del 10.9.9.9/32 dev lo'), 0, 'its network goes');
my $reader;
ok(wait_for(sub { $reader = back(); return !$reader->problem }, 30),
    'and it is let in when nobody is there any more');
$t->publish('orders', { key => $master }, { id => 'on' });
is($reader->ids(1), 'on', 'to go on');

done_testing();
