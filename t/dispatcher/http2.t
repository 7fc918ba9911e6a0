#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# HTTP/2 where a receiver offers it: many requests on few connections, the same
# requests as ever, and none lost or repeated when a connection ends.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('many');
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return { hang => 1 } if $request->{path} eq '/stuck';
    return 200 if $request->{path} !~ m{^/cut(\d+)};
    return { raw => "HTTP/1.1 $1 X\r\nContent-Length: 100\r\n\r\npart",
        close => 1, drip => 0.01 };
});
my $dir = $t->testdir;

certificate($t);

sub fields {
    return join ' ', map { "add_header x-$_ " . 'x' x 4000 . ';' } 1 .. $_[0];
}
(my $conf = <<'CONF') =~ s/RECEIVER/$recv->port/ge;
events { }
http {
    log_format who '$uri $server_protocol $connection $status $http_webhook_id';
    access_log %%TESTDIR%%/who.log who;
    ssl_certificate %%TESTDIR%%/cert.pem;
    ssl_certificate_key %%TESTDIR%%/key.pem;
    client_body_buffer_size 1m;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl http2;
        keepalive_requests 10000;
        location / { proxy_pass http://127.0.0.1:RECEIVER; }
        location /fits { FITS return 204; }
        location /large { LARGE return 204; }
        location /gone { return 444; }
        location /cut {
            proxy_buffering off;
            proxy_pass http://127.0.0.1:RECEIVER;
        }
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl http2;
        keepalive_requests 5;
        location / { proxy_pass http://127.0.0.1:RECEIVER; }
        location /many { return 204; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%% ssl;
        location / { proxy_pass http://127.0.0.1:RECEIVER; }
    }
}
CONF
$conf =~ s/FITS/fields(14)/e;
$conf =~ s/LARGE/fields(18)/e;
$t->write_file_expand('nginx.conf', $conf);
$t->run_nginx;

my $n = 60;
my %names;
my %secrets;
for my $case (['h2', 0, 'none'], ['goaway', 1, 'none'], ['fifo', 1, 'fifo'],
    ['h1', 2, 'none'])
{
    my ($path, $port, $ordering) = @$case;
    @names{$path} = my ($name, $secret) = $t->endpoint('acme',
        feeds => 'orders', start => 'oldest', in_flight => 16,
        ordering => $ordering, headers => '{"x-a":"b c","X-D":"e"}',
        url => 'https://127.0.0.1:' . $t->port($port) . "/$path");
    $names{$path} = $name;
    $secrets{$path} = $secret;
}
my $long = 'x' x 200_000;
my @ids = (put($t, 'orders', $n - 2), put($t, 'orders',
    { data => { x => $long } }, { data => { x => "$long." } }));
$t->run_dispatcher('--allow-address=127.0.0.1', "--ca-file=$dir/cert.pem");

sub seen {
    my ($path) = @_;
    return map { [split ' '] } grep { m{^/$path } }
        split /\n/, $t->read_file('who.log');
}

for my $path (qw(h2 goaway fifo h1)) {
    ok(wait_for(sub { seen($path) >= $n }, 60), "/$path: all have come");
}
is($t->stop_dispatcher, 0, 'the dispatcher stops');

for my $path (qw(h2 goaway fifo h1)) {
    my @seen = seen($path);
    is_deeply([sort map { $_->[4] } @seen], [sort @ids],
        "/$path: each event once");
    my $version = $path eq 'h1' ? 'HTTP/1.1' : 'HTTP/2.0';
    is_deeply([grep { $_->[1] ne $version || $_->[3] != 200 } @seen], [],
        "by $version");
    my @attempts = attempts($t, $names{$path});
    is(scalar(grep { $_->{class} eq 'ok' } @attempts), $n,
        'with an attempt for each');
    is_deeply([grep { $_->{class} ne 'ok' } @attempts], [],
        'and no others, though connections ended meanwhile');

    my @got = grep { $_->{path} eq "/$path" } $recv->requests;
    is_deeply([grep { !signature_ok($_, $secrets{$path}) } @got], [],
        'signed');
    is_deeply([grep { $_->{headers}{'x-a'} ne 'b c'
        || $_->{headers}{'x-d'} ne 'e'
        || $_->{headers}{'content-type'} ne 'application/json'
        || $_->{headers}{'eventsync-feed'} ne 'orders' } @got], [],
        'with their header fields');
    is_deeply([sequences(@got)], [1 .. $n], 'in order') if $path eq 'fifo';
}

{
    my @many = $t->endpoint('acme', feeds => 'many', start => 'oldest',
        in_flight => 64, ordering => 'none',
        url => 'https://127.0.0.1:' . $t->port(1) . '/many');
    put($t, 'many', 1000);
    $t->run_dispatcher('--allow-address=127.0.0.1', "--ca-file=$dir/cert.pem");
    ok(wait_for(sub { attempts($t, $many[0]) >= 1000 }, 60),
        'a thousand events, where a connection takes five');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    is_deeply([grep { $_->{class} ne 'ok' } attempts($t, $many[0])], [],
        'need no second attempt');
    $t->ctl_ok('endpoint', 'remove', $many[0]);
}

my %conns = map { $_->[2] => 1 } seen('h2');
cmp_ok(keys %conns, '<=', 2, 'many requests share a connection');
%conns = map { $_->[2] => 1 } seen('goaway'), seen('fifo');
cmp_ok(keys %conns, '>=', 2 * $n / 6, 'until it ends');

###############################################################################
# what is read of an answer has its limits as ever

my ($fits, $large) = map { 'https://127.0.0.1:' . $t->port(0) . "/$_" }
    'fits', 'large';
$t->ctl_ok('endpoint', 'remove', $_) for values %names;
my $got = outcomes($t, [$fits, $large], '--allow-address=127.0.0.1',
    "--ca-file=$dir/cert.pem");
is($got->{$fits}, 'ok 204', '56 kilobytes of header fields are read');
is($got->{$large}, 'protocol 0', '72 are not');

###############################################################################
# streams that end badly, or do not end, and another endpoint meanwhile

{
    my $url = 'https://127.0.0.1:' . $t->port(0);
    my %class = ('/stuck' => 'timeout 0', '/gone' => 'reset 0',
        '/cut200' => 'ok 200', '/cut500' => 'status 500');
    my %name = map { $_ => scalar $t->endpoint('acme', url => "$url$_",
        feeds => 'orders', start => 'oldest', ordering => 'none',
        in_flight => 8, timeout => '3s', schedule => '0') }
        '/beside', keys %class;
    $t->run_dispatcher('--allow-address=127.0.0.1', "--ca-file=$dir/cert.pem");
    ok(wait_for(sub { seen('beside') >= $n }, 60), 'all of one endpoint come');
    for my $path (sort keys %class) {
        ok(wait_for(sub { attempts($t, $name{$path}) >= 3 }, 60),
            "$path is tried");
        my %got = map { $_ => 1 }
            map { "$_->{class} $_->{status}" } attempts($t, $name{$path});

        # libcurl shows no headers that come at once with the stream's end, as
        # they do where both wait for it.
        delete $got{'reset 0'} if $got{$class{$path}} && $path =~ /^.cut/;
        is_deeply([keys %got], [$class{$path}], "... and is $class{$path}");
    }
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    is_deeply([grep { $_->{class} ne 'ok' } attempts($t, $name{'/beside'})],
        [], 'nothing of the one endpoint failed');
}

done_testing();
