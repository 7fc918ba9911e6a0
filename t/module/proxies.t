#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# HAProxy, Squid and Traffic Server in front, with their caches on and no rule of ours, as the
# table of docs/cdn.md says: none keeps an answer, all pass streams and backfills
# on.
#
# It needs Debian's packages haproxy, squid and trafficserver; what is missing is
# skipped.
# ES_CACHES names a directory into which they were unpacked instead.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $root = $ENV{ES_CACHES} // '';
my $libs = join ":", map { "$root$_" } "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu", "/usr/lib/trafficserver";

my $t = Test::Eventsync->new;
$t->store_init->feed('prices');
my $key = $t->partner_key('acme', feeds => 'prices');

$t->default_conf(location => 'eventsync_pages on; eventsync_cache shared;
    eventsync_sse on; eventsync_authorize on; eventsync_backfill on;
    eventsync_backfill_heartbeat 300ms;
    eventsync_limit backfill rate=1k/d burst=1k;',
    server => q(location ~ ^/(plain|granted) {
            add_header Cache-Control "public, max-age=60";
            return 200 $request_id;
        }),
    http => q(log_format asked '$uri|$http_accept_encoding';
        access_log %%TESTDIR%%/origin.log asked;));
$t->run_nginx;
$t->publish('prices', map { { id => "p$_" } } 1 .. 150);
my $epoch = $t->json_get('/v1/feeds/prices', $t->master_key)->{epoch};
my $page = "/v1/feeds/prices/pages/$epoch/1";

chmod 0777, $t->testdir;
my %conf = (
    haproxy => [ 1, "$root/usr/sbin/haproxy", '-db', '-f', <<'CONF' ],
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 75s
cache pages
    total-max-size 16
    max-age 3600
listen edge
    bind 127.0.0.1:%%PORT_1%%
    http-request cache-use pages
    http-response cache-store pages
    server origin 127.0.0.1:%%PORT_0%%
CONF
    squid => [ 2, "$root/usr/sbin/squid", '-N', '-f', <<"CONF" ],
http_port 127.0.0.1:%%PORT_2%% accel defaultsite=localhost
cache_peer 127.0.0.1 parent %%PORT_0%% 0 no-query originserver login=PASSTHRU
http_access allow all
cache_mem 16 MB
cache_effective_user nobody
cache_log %%TESTDIR%%/squid.log
access_log none
pid_filename none
netdb_filename none
coredump_dir %%TESTDIR%%
mime_table $root/usr/share/squid/mime.conf
icon_directory $root/usr/share/squid/icons
error_directory $root/usr/share/squid-langpack/en
unlinkd_program $root/usr/lib/squid/unlinkd
pinger_enable off
shutdown_lifetime 0 seconds
CONF
    trafficserver => [ 3, "$root/usr/bin/traffic_server", '' ],
);

# Traffic Server takes its directories from a file.
sub traffic_server {
    my $dir = $t->testdir . '/ats';
    mkdir $_ for $dir, map { "$dir/$_" } qw(etc run log cache);
    $t->write_file('ats/etc/remap.config', 'map / http://127.0.0.1:' . $t->port(0)
        . "/\n");
    $t->write_file('ats/etc/storage.config', "$dir/cache 64M\n");
    $t->write_file('ats/etc/ip_allow.yaml', "ip_allow:\n  - apply: in\n"
        . "    ip_addrs: 0/0\n    action: allow\n    methods: ALL\n");
    $t->write_file("ats/etc/$_", '') for qw(plugin.config parent.config
        cache.config hosting.config volume.config splitdns.config
        ssl_multicert.config);
    $t->write_file('ats/etc/records.config', join '', map { "CONFIG $_\n" }
        'proxy.config.http.server_ports STRING ' . $t->port(3),
        'proxy.local.incoming_ip_to_bind STRING 127.0.0.1',
        "proxy.config.body_factory.template_sets_dir STRING $dir/etc",
        'proxy.config.admin.user_id STRING nobody');
    system 'chmod', '-R', 'a+rwX', $dir;
    return $t->write_file('ats/runroot.yaml', <<"YAML");
prefix: $dir
exec_prefix: $root/usr
bindir: $root/usr/bin
sbindir: $root/usr/bin
sysconfdir: $dir/etc
datadir: $dir
libdir: $root/usr/lib/trafficserver
libexecdir: $root/usr/lib/trafficserver/modules
localstatedir: $dir/run
runtimedir: $dir/run
logdir: $dir/log
cachedir: $dir/cache
YAML
}

# How often the origin was asked for a path, and with which encodings.
sub asked {
    my ($path) = @_;
    return map { s/.*\|//r } grep { m{^\Q$path\E\|} }
        split /\n/, $t->read_file('origin.log');
}

# The first bytes of a body, chunked or not.
sub begin {
    my ($call) = @_;
    my $end = time + 20;
    Test::Eventsync::read_until($call, "\r\n\r\n", $end) // return '';
    1 until $call->{buf} =~ /\{.*?"/s || !Test::Eventsync::fill($call, $end);
    return $call->{buf};
}

# The first takes the whole quota, so that all others are slowed.
is($t->http(GET => '/v1/feeds/prices/backfill', { authorization => "Bearer $key" })
    ->{status}, 200, 'a backfill');

my %encodings = (trafficserver => 'gzip');     # what it makes of them

for my $name (sort keys %conf) {
    my ($n, $program, @args) = @{ $conf{$name} };

    SKIP: {
        skip "$name is not installed", 1 unless -x $program;

        my $text = pop @args;
        $t->write_file_expand("$name.conf", $text);
        push @args, $text ? $t->testdir . "/$name.conf"
            : '--run-root=' . traffic_server();
        local $ENV{LD_LIBRARY_PATH} = $libs if $root;
        $t->start($name, {}, $program, @args);
        ok(wait_for(sub { Test::Eventsync::port_open($t->port($n)) }, 60),
            "$name starts") or next;

        my $get = sub {
            my ($path, $who, %headers) = @_;
            return $t->http(GET => $path, { $who ? (authorization => "Bearer $who")
                : (), %headers }, undef, port => $t->port($n));
        };

        ok(wait_for(sub { $get->('/plain')->{body} eq $get->('/plain')->{body} },
            30), "$name: what is public comes from its cache");
        is($get->('/granted', $key)->{body}, $get->('/granted')->{body},
            'what a key was given as public, everybody is given');

        my $before = () = asked($page);
        is($get->($page, $key)->{status}, 200, "$name: a page") for 1, 2;
        ok(wait_for(sub { $before + 2 == (() = asked($page)) }),
            'comes from the origin each time');
        is($get->($page)->{status}, 401, 'and not without a key');
        is($get->("/v1/feeds/none/pages/$epoch/1", $key)->{status}, 404,
            'nor does another one');

        my $answer = $get->($page, $key, 'accept-encoding' => 'gzip, zstd');
        ok(wait_for(sub { $before + 4 == (() = asked($page)) }), 'an encoding');
        is((asked($page))[-1], $encodings{$name} // 'gzip, zstd',
            'is what the proxy requests');
        like($answer->{headers}{'content-encoding'}, $encodings{$name}
            ? qr/^gzip$/ : qr/^(?:zstd|gzip)$/, 'and passes on');

        my $call = $t->http_start(GET => '/v1/feeds/prices/events?from=latest', {
            authorization => "Bearer $key", accept => 'text/event-stream' },
            undef, port => $t->port($n));
        ok(defined Test::Eventsync::read_until($call, "\r\n\r\n", time + 20),
            'a stream begins at once');
        $t->publish('prices', { id => "live-$name" });
        ok(defined Test::Eventsync::read_until($call, "\"live-$name\"", time + 20),
            'and its events come at once');
        close $call->{sock};

        $call = $t->http_start(GET => '/v1/feeds/prices/backfill',
            { authorization => "Bearer $key" }, undef, port => $t->port($n));
        like(begin($call), qr/^(?!.*specversion).*\{.*?"/s,
            'and so does each byte of a slowed backfill');
        close $call->{sock};
    }
}

done_testing();
