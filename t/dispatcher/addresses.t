#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The ways to write an address in an endpoint's URL that is not public: each
# is refused when the endpoint is made, or at the attempt, and nothing comes
# to a listener on this machine.  Names are in names.t.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my $port = $recv->port;

put($t, 'orders', 1);
$t->ctl_ok(qw(partner change acme --quota-endpoints=1000));

###############################################################################
# refused when it is written

my %bad = (
    'must not have a user name or password' => [
        "http://8.8.8.8\@127.0.0.1:$port/", "http://8.8.8.8:80\@127.0.0.1/",
        "http://127.0.0.1:$port\@8.8.8.8/", 'http://@127.0.0.1/',
        'http://a:b@c@127.0.0.1/', 'https://x@[::1]/',
        'http://8.8.8.8%2f@127.0.0.1/', 'http://8.8.8.8%23@127.0.0.1/',
    ],
    'must not have a fragment' => [
        "http://127.0.0.1:$port#\@8.8.8.8/", "http://127.0.0.1:$port/#",
    ],
    'has a malformed host' => [
        'http:///127.0.0.1/', 'http:////127.0.0.1/', 'http://?127.0.0.1',
        'http://%31%32%37.0.0.1/', 'http://127%2e0%2e0%2e1/',
        'http://127.0.0.1%00.example.org/', 'http://127.0.0.1%20/',
        'http://127.0.0.1%0a/', 'http://127..1/', 'http://.127.0.0.1/',
        'http://127.0.0.1,8.8.8.8/', 'http://127.0.0.1;8.8.8.8/',
        'http://-127+1/', 'http://(127.0.0.1)/', "http://'127.0.0.1'/",
        'http://127.0.0.1&8.8.8.8/', 'http://127.0.0.1!/', 'http://$127/',
        'http://::1/', 'http://[::1/', 'http://[]/', 'http://[127.0.0.1]/',
        'http://[::1%25lo]/', 'http://[fe80::1%25eth0]/',
        'http://[fe80::1%251]/', 'http://[::ffff:127.0.0.1%25lo]/',
        'http://[::ffff:0x7f.0.0.1]/', 'http://[::ffff:127.1]/',
        'http://[::ffff:0177.0.0.1]/', 'http://[v1.127.0.0.1]/',
        'http://[0:0:0:0:0:0:0:0:1]/', 'http://[localhost]/',
        'http://[00000::1]/',
    ],
    'has a malformed port' => [
        'http://127.0.0.1:/', 'http://127.0.0.1:0/', 'http://127.0.0.1:65536/',
        'http://127.0.0.1:000080/', 'http://127.0.0.1:+80/',
        'http://127.0.0.1:0x50/', 'http://127.0.0.1:80:80/',
        'http://8.8.8.8:80;127.0.0.1/', 'http://[::1]x/',
        'http://[::1]127.0.0.1/', 'http://[::1]:/',
        'http://[8::8]:80.127.0.0.1/',
    ],
    'must begin with https:// or http://' => [
        'http:127.0.0.1/', 'http:/127.0.0.1/', 'ftp://127.0.0.1/',
        'file:///etc/passwd', 'gopher://127.0.0.1/_x', 'dict://127.0.0.1/',
        'unix:/var/run/x', 'data:,x', 'view-source:http://127.0.0.1/',
    ],
    'is not a URI with a scheme' => [
        '//127.0.0.1/', '127.0.0.1', '[::1]', '/127.0.0.1',
    ],
    "has a '%' without two hexadecimal digits" => [
        'http://[::1%lo]/', 'http://[fe80::1%eth0]/', 'http://[fe80::1%]/',
        'http://127.0.0.1%/',
    ],
    'has a character that is not allowed in a URI' => [
        'http://8.8.8.8\@127.0.0.1/', 'http://127.0.0.1\@8.8.8.8/',
        'http:\\\\127.0.0.1/', ' http://127.0.0.1/', "http://127.0.0.1/\t",
        "http://127.0.0.1\n/", "http://127\n.0.0.1/", 'http://127.0.0.1 /',
        "http://8.8.8.8/\r\nHost: 127.0.0.1", 'http://<127.0.0.1>/',
        'http://^127/', 'http://`127.0.0.1`/', 'http://{127.0.0.1}/',
        'http://127.0.0.1|/',

        # digits in circles, full width, Arabic; letters in circles; dots
        # that are none; blanks without width
        "http://\x{2460}\x{2461}\x{2466}.\x{24ea}.\x{24ea}.\x{2460}/",
        "http://\x{ff11}\x{ff12}\x{ff17}.0.0.1/",
        "http://\x{661}\x{662}\x{667}.0.0.1/",
        "http://\x{24db}\x{24de}\x{24d2}\x{24d0}\x{24db}host/",
        "http://127\x{3002}0\x{3002}0\x{3002}1/", "http://127\x{ff0e}0.0.1/",
        "http://127.0.0\x{200b}.1/", "http://127.0.0.1\x{2044}8.8.8.8/",
    ],
);

for my $reason (sort keys %bad) {
    for my $url (@{ $bad{$reason} }) {
        utf8::encode(my $bytes = $url);
        my ($rc, $out, $err) = $t->ctl('endpoint', 'create', 'acme',
            "--url=$bytes", '--feeds=orders');
        (my $shown = $url) =~ s/([^ -~])/sprintf '\\x{%x}', ord $1/ge;
        is("$rc $err" =~ m{^1 .*: /url: url (.*)$}m ? $1 : "$rc $err", $reason,
            "$shown: $reason");
    }
}
is($t->ctl_ok('endpoint', 'list'), '', 'none of them is there');

###############################################################################
# refused at the attempt

my @private = map { "http://$_:$port/" } (

    # loopback: decimal, octal, hexadecimal, short, mixed
    qw(127.0.0.1 127.0.0.2 127.1 127.0.1 127.255.255.254 2130706433 0177.0.0.1
    0177.1 00000177.0.0.1 0177.0.0.01 017700000001 0x7f.0.0.1 0x7f.1
    0x7f000001 0X7F000001 0x7F.0X0.0x0.0x1 127.0x1 127.0.0x1 0x7f.0.01
    0x000000007f.0.0.1 127.00.00.01 127.16777215),

    # the same in v6, and this host by other names
    qw([::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001]
    [::0:1] [0::1] [::ffff:127.0.0.1] [::FFFF:127.0.0.1] [::ffff:7f00:1]
    [0:0:0:0:0:ffff:7f00:0001] [::ffff:127.255.0.1] [::127.0.0.1] [::7f00:1]
    [::ffff:0:127.0.0.1] [::] [::ffff:0.0.0.0] 0.0.0.0 0 0x0 00 0.1 0.1.2.3
    localhost LOCALHOST LocalHost a.localhost),

    # private, shared, link-local, and what clouds answer at
    qw(10.0.0.1 10.255.255.255 167772161 012.0.0.1 0xa.1 [::ffff:10.0.0.1]
    [::ffff:a00:1] 172.16.0.1 172.31.255.255 0254.020.0.1 0xac100001
    [::ffff:172.16.0.1] 192.168.0.1 192.168.255.255 0300.0250.1 0xc0a80001
    3232235521 192.11010049 [::ffff:c0a8:1] 100.64.0.1 100.127.255.255
    0144.0100.0.1 100.100.100.200 169.254.0.1 169.254.169.254 2852039166
    0251.0376.0251.0376 0xa9fea9fe 0xa9.254.43518 169.16689662
    [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::169.254.169.254]
    [fd00:ec2::254] 192.0.0.192 192.0.0.1),

    # unique local, link-local, site-local
    qw([fc00::1] [fd00::1] [FD00::1] [fdff:ffff::1] [fe80::1] [febf::1]
    [fe80::5efe:7f00:1] [fec0::1]),

    # v4 within v6: NAT64, 6to4, Teredo
    qw([64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::a9fe:a9fe]
    [64:ff9b:1::7f00:1] [2002:7f00:1::1] [2002:7f00:0001::] [2002:a9fe:a9fe::]
    [2002:0a00:1::1] [2001::1] [2001:0:7f00:1::] [2001:0000:4136:e378::1]),

    # documentation, benchmarks, discard, protocols
    qw(192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 198.19.255.255
    192.88.99.1 [2001:db8::1] [2001:db8:ffff::] [3fff::1] [3fff:fff::1]
    [2001:2::1] [2001:10::1] [2001:20::1] [2001:1ff::1] [100::1] [5f00::1]),

    # multicast, broadcast, reserved
    qw(224.0.0.1 239.255.255.255 0340.0.0.1 0xe0000001 240.0.0.1
    255.255.255.255 4294967295 0xffffffff 037777777777 255.16777215
    [::ffff:224.0.0.1] [::ffff:255.255.255.255] [ff02::1] [ff05::2]
    [ff0e::1] [4000::1] [8000::1] [1fff::1] [e000::1]),
);
push @private, "HTTP://127.0.0.1:$port/", "hTTp://[::1]:$port",
    "http://127.0.0.1:$port?\@8.8.8.8/",
    "http://127.0.0.1:$port/\@8.8.8.8/", "http://127.0.0.1:$port?",
    "http://127.0.0.1:$port/%2e%2e//8.8.8.8/";

my $got = outcomes($t, \@private, '--allow-http');
is($got->{$_}, 'address 0', "$_ is refused") for @private;
is($recv->count, 0, 'nothing has come');

###############################################################################
# what is allowed opens nothing else

my %allowed = (
    '127.0.0.1' => 'ok 200', '[::ffff:127.0.0.1]' => 'ok 200',
    '2130706433' => 'ok 200', '127.0.0.2' => 'address 0',
    '[::127.0.0.1]' => 'address 0', '[64:ff9b::127.0.0.2]' => 'address 0',
    '[64:ff9b::7f00:2]' => 'address 0', '[64:ff9b:1:7f00:0:200::]' => 'address 0',
    '[2002:7f00:1::]' => 'address 0', '[::1]' => 'address 0',
);
my %by_url = map { ("http://$_:$port/" => $allowed{$_}) } keys %allowed;
$got = outcomes($t, [sort keys %by_url], '--allow-http',
    '--allow-address=127.0.0.1');
is($got->{$_}, $by_url{$_}, "$_ is $by_url{$_} with 127.0.0.1 allowed")
    for sort keys %by_url;
my $came = $recv->count;

###############################################################################
# redirects

my $from = $t->receiver(sub {
    my ($request) = @_;
    my ($status) = $request->{path} =~ m{/(\d+)};
    my $to = $request->{path} =~ /relative/ ? '/other'
        : $request->{path} =~ /other-host/ ? "//127.0.0.1:$port/"
        : "http://127.0.0.1:$port/";
    return { status => $status, headers => { 'Location' => $to,
        'Content-Location' => $to, 'Refresh' => "0;url=$to",
        'Alt-Svc' => "http/1.1=\"127.0.0.1:$port\"; ma=86400",
        'Link' => "<$to>; rel=canonical" } };
});
my @redirects = map { $from->url($_) } (map { "/$_" } 200, 201, 300 .. 308),
    '/302/relative', '/307/other-host';
$got = outcomes($t, \@redirects, '--allow-http', '--allow-address=127.0.0.1');
for my $url (@redirects) {
    my ($status) = $url =~ m{/(\d{3})(?:/|$)};
    is($got->{$url}, ($status < 300 ? 'ok' : 'redirect') . " $status",
        "$url is not followed");
}
is($from->count, @redirects, 'there is one request for each');
is($recv->count, $came, 'and none elsewhere');

done_testing();
