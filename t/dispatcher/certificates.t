#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The dispatcher records when the certificates of its connections expire:
# receivers', token servers' and its own.  Status, records and metrics have it,
# and a renewed certificate is noticed.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Metrics;
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $dir = $t->testdir;
my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
my $IP = 'IP:127.0.0.1';
my $admin = $t->partner_key('ops', scopes => 'admin');
my $manage = $t->partner_key('acme', scopes => 'read,manage');

certificate($t, $IP, file => 'ca', days => 20);
certificate($t, $IP, file => 'leaf', days => 90, issuer => 'ca');
certificate($t, $IP, file => 'server', days => 40);
certificate($t, $IP, file => 'renewed', days => 80);
certificate($t, $IP, file => 'token', days => 60);
certificate($t, $IP, file => 'client', days => 10);
certificate($t, $IP, file => 'client2', days => 70);
$t->write_file('trusted.pem', join '', map { $t->read_file("$_.pem") }
    qw(ca server renewed token));
sub install {
    my ($from, $to) = @_;
    $t->write_file("$to.$_", $t->read_file("$from.$_")) for qw(pem key);
}
install('server', 'live');
install('client', 'mine');

# A ticket key of the operator's survives a reload, and with it TLS sessions.
is(system("openssl rand -out $dir/tickets 48"), 0, 'a key of tickets');
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    log_format tls '$server_port $uri $connection $ssl_session_reused';
    access_log %%TESTDIR%%/tls.log tls;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_verify_client optional_no_ca;
    ssl_session_timeout 1d;
    ssl_session_ticket_key %%TESTDIR%%/tickets;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%TESTDIR%%/live.pem;
        ssl_certificate_key %%TESTDIR%%/live.key;
        location / { return 204; }
        location /closes { keepalive_timeout 0; return 204; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl http2;
        ssl_certificate %%TESTDIR%%/leaf.pem;
        ssl_certificate_key %%TESTDIR%%/leaf.key;
        location / { return 204; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_certificate %%TESTDIR%%/token.pem;
        ssl_certificate_key %%TESTDIR%%/token.key;
        default_type application/json;
        location / {
            return 200 '{"access_token":"t","token_type":"Bearer","expires_in":3600}';
        }
    }
    server {
        listen 127.0.0.1:%%PORT_3%%;
        location /v1/ {
            eventsync_metrics endpoints;
            eventsync_endpoints on;
        }
    }
}
CONF
$t->run_nginx;

sub expiry {
    my ($file) = @_;
    my $date = qx(openssl x509 -in $dir/$file.pem -noout -enddate -dateopt iso_8601);
    my ($d, $h) = $date =~ /=(\S+) (\S+)Z/ or die "$file: $date\n";
    return "${d}T$h.000Z";
}

sub endpoint {
    my ($port, $path, %opts) = @_;
    return $t->endpoint('acme', feeds => 'orders', ordering => 'none',
        schedule => '0,100ms',
        url => 'https://127.0.0.1:' . $t->port($port) . "/$path", %opts);
}

# What status says of the endpoint, as "receiver=TIME client=TIME".
sub known {
    my ($endpoint) = @_;
    my %known = $t->ctl_ok('endpoint', 'status', $endpoint)
        =~ /^\S+ certificate (\w+): expires=(\S+) seen=\S+$/mg;
    return join ' ', map { "$_=$known{$_}" } sort keys %known;
}

sub known_is {
    my ($endpoint, $expected, $what) = @_;
    ok(wait_for(sub { known($endpoint) eq $expected }, 30), $what)
        or diag(known($endpoint) . "\nexpected $expected");
}

sub reused {
    my ($path) = @_;
    return map { (split)[3] } grep { m{ /$path } }
        split /\n/, $t->read_file('tls.log');
}

sub metrics {
    my $text = $t->http(GET => '/v1/metrics', { authorization => "Bearer $admin" },
        undef, port => $t->port(3))->{body};
    my ($metrics) = parse_metrics($text);
    return $metrics;
}

my $FAMILY = 'certificate_expiry_timestamp_seconds';
sub of_all { return value("eventsync_delivery_$FAMILY\{certificate=\"$_[0]\"}") }
sub of_one {
    my ($endpoint, $certificate) = @_;
    return value("eventsync_endpoint_$FAMILY\{certificate=\"$certificate\","
        . "endpoint=\"$endpoint\",partner=\"acme\"}");
}
sub value { my $v = metrics()->{$_[0]}; return defined $v ? $v + 0 : undef }
sub seconds { return time_ms($_[0]) / 1000 }

my @dispatcher = ("--tls-dir=$dir", "--ca-file=$dir/trusted.pem");

kinds();
renewed();
resumed();
changed();

is($t->stop_dispatcher, 0, 'the dispatcher ends');
done_testing();

###############################################################################

sub kinds {
    my $plain = endpoint(0, 'plain');
    my $chain = endpoint(1, 'chain');
    my $own = endpoint(0, 'own', client_cert => 'mine.pem', client_key => 'mine.key');
    my $http = $t->endpoint('acme', feeds => 'orders',
        url => 'http://127.0.0.1:' . $t->port(3) . '/v1/healthz');
    $t->run_dispatcher(@dispatcher);
    is(known($plain), '', 'before the first connection nothing is known');
    is(scalar(grep { /certificate_expiry/ } keys %{ metrics() }), 0, 'nor by metrics');
    put($t, 'orders', 1);

    known_is($plain, 'receiver=' . expiry('server'), 'the receiver\'s');
    known_is($chain, 'receiver=' . expiry('ca'),
        'of a chain, by HTTP/2, the first to expire');
    known_is($own, 'client=' . expiry('client') . ' receiver=' . expiry('server'),
        'and the dispatcher\'s own');
    ok(wait_for(sub { attempts($t, $http) >= 1 }), 'by http');
    is(known($http), '', 'there is none');

    my ($seen) = $t->ctl_ok('endpoint', 'status', $plain) =~ /receiver: .* seen=(\S+)/;
    cmp_ok(abs(time - seconds($seen)), '<', 60, 'when it was seen');
    my $shown = Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $own));
    my %both = map { $_ => { expires => expiry($_ eq 'client' ? 'client' : 'server'),
        seen => $shown->{certificates}{$_}{seen} } } qw(client receiver);
    is_deeply($shown->{certificates}, \%both, 'endpoint show has them');
    for my $path ('', '/status') {
        my $answer = $t->http(GET => "/v1/endpoints/$own$path",
            { authorization => "Bearer $manage" }, undef, port => $t->port(3));
        is_deeply(Test::Eventsync::json($answer->{body})->{certificates}, \%both,
            "GET endpoint$path has them");
    }
    my ($line) = grep { /"certificates"/ }
        split /\n/, $t->ctl_ok('endpoint', 'status', $own, '--json');
    is(Test::Eventsync::json($line)->{client}{expires}, expiry('client'), 'and --json');

    is(of_all('receiver'), seconds(expiry('ca')), 'metrics have the first of all');
    is(of_all('client'), seconds(expiry('client')), 'for each kind');
    is(of_one($own, 'client'), seconds(expiry('client')), 'and of each endpoint the first');
    is(of_one($own, 'receiver'), undef, 'only');
    $t->ctl_ok('endpoint', 'pause', $chain);
    is(of_all('receiver'), seconds(expiry('server')), 'but not of endpoints that are paused');
    $t->ctl_ok('endpoint', 'remove', $_) for $chain, $http, $plain;
    $t->{own} = $own;
}

sub renewed {
    my $own = $t->{own};
    install('client2', 'mine');
    install('renewed', 'live');
    $t->reload;
    $t->ctl_ok('endpoint', 'test', $own);
    known_is($own, 'client=' . expiry('client2') . ' receiver=' . expiry('renewed'),
        'a test event notices renewed certificates');
    is(of_all('client'), seconds(expiry('client2')), 'and metrics follow');
    is($t->stop_dispatcher, 0, 'the dispatcher ends');
    is(known($own), 'client=' . expiry('client2') . ' receiver=' . expiry('renewed'),
        'the record stays');
    $t->ctl_ok('endpoint', 'remove', $own);
    install('server', 'live');
    $t->reload;
}

# Each request has a connection of its own here.
sub resumed {
    my $closes = endpoint(0, 'closes');
    $t->replace_file('clock', '+0s');
    $t->run_dispatcher({ env => $lib && !$t->sanitized ? { LD_PRELOAD => $lib,
        FAKETIME_NO_CACHE => 1, FAKETIME_TIMESTAMP_FILE => "$dir/clock" } : {} },
        @dispatcher);
    my $n = 0;
    my $send = sub { put($t, 'orders', 1); $n++;
        ok(wait_for(sub { reused('closes') >= $n }, 30), "request $n") };
    $send->();
    known_is($closes, 'receiver=' . expiry('server'), 'known by a handshake');
    $send->() for 1 .. 2;
    is((reused('closes'))[-1], 'r', 'later connections resume the session');
    $t->ctl_ok('endpoint', 'test', $closes);
    $n++;
    ok(wait_for(sub { reused('closes') >= $n }, 30), 'a test event');
    is((reused('closes'))[-1], '.', 'never does');
  SKIP: {
        skip 'needs faketime, and no sanitizer', 20 if !$lib || $t->sanitized;
        # in steps, because the dispatcher frees handles that it does not use
        my @how = map { $t->replace_file('clock', '+' . 20 * $_ . 's'); $send->();
            (reused('closes'))[-1] } 1 .. 18;
        ok(scalar(grep { $_ eq 'r' } @how), 'other events do');
        ok(scalar(grep { $_ eq '.' } @how[10 .. 17]),
            'but not when the last full handshake is old');
    }
    is($t->stop_dispatcher, 0, 'the dispatcher ends');
    $t->ctl_ok('endpoint', 'remove', $closes);
    install('renewed', 'live');
    $t->reload;
}

# A change does not end connections.
sub changed {
    my $key = "$dir/key";
    is(system("umask 077; openssl rand -base64 -out $key 32"), 0, 'a key');
    my $oauth = JSON::PP->new->encode({ client_id => 'me', client_secret => 'secret',
        token_url => 'https://127.0.0.1:' . $t->port(2) . '/token' });
    # the last dispatcher has stored times of its faked clock
    my $with = endpoint(0, 'with', oauth => $oauth, key_file => $key, start => 'oldest');
    $t->run_dispatcher(@dispatcher, "--key-file=$key");
    put($t, 'orders', 1);
    known_is($with, 'receiver=' . expiry('renewed') . ' token=' . expiry('token'),
        'that of a token server');
    $t->ctl_ok('endpoint', 'change', $with, '--oauth=', "--key-file=$key");
    is(known($with), '', 'after a change of the endpoint nothing is known');
    is(of_all('token'), undef, 'nor by metrics');
    put($t, 'orders', 1);
    known_is($with, 'receiver=' . expiry('renewed'), 'until the next request');
    my @connections = map { (split)[2] } grep { m{ /with } }
        split /\n/, $t->read_file('tls.log');
    is($connections[0], $connections[1], 'even by the same connection');
}
