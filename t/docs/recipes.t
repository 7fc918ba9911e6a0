#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The configurations of docs/recipes/ as they stand, in Debian's places: each
# passes `nginx -t`, and serves from publish to poll and webhook.  Mount, network
# and PID namespaces of this test's own have the paths, ports and addresses.

use warnings;
use strict;

use File::Path qw(make_path);
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Places;

own_places(qw(setpriv openssl curl));

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my (%used, $bundle);

sub slurp { my ($name) = @_; open my $fh, '<:raw', $name or die "$name: $!\n";
    local $/; return <$fh> }
sub must { system(@_) == 0 or die "@_: $?\n" }

###############################################################################
# the places of Debian: /etc/nginx, the module, /var/lib/eventsync, /run; the
# addresses of the recipes

place($t, 'nginx', '/etc/nginx', copy => 1);
place($t, @$_) for [qw(lib /var/lib/eventsync)], [qw(log /var/log)],
    [qw(run /run)], [qw(modules /usr/lib/nginx/modules)],
    [qw(letsencrypt /etc/letsencrypt)], [qw(www /var/www/html)],
    [qw(keys /etc/eventsync)], [qw(nginxlib /var/lib/nginx)],
    [qw(bin /usr/local/sbin)], [qw(staging /var/lib/eventsync-staging)];
make_path('/var/log/nginx', '/etc/letsencrypt/live/events.example',
    '/run/eventsync');
must('install', $t->build . '/ngx_http_eventsync_module.so',
    '/usr/lib/nginx/modules/');
must('install', '-m', '755', map({ $t->build . "/$_" }
    qw(eventsyncctl eventsync-dispatcher)), '/usr/local/sbin');
must('chmod', '755', $dir);
unlink glob '/etc/nginx/{sites,modules}-enabled/*';
$t->write_file('nginx/modules-enabled/50-mod-http-eventsync.conf',
    "load_module modules/ngx_http_eventsync_module.so;\n");
my $main = slurp('/etc/nginx/nginx.conf');
$main =~ s/^user .*/user root;/m or die;
$main =~ s/worker_processes auto/worker_processes 2/;
$t->write_file('nginx/nginx.conf', $main);
must('ip', 'address', 'add', "$_/32", 'dev', 'lo')
    for qw(10.1.0.1 10.1.0.2 10.1.0.5 10.1.0.77 10.2.0.1 198.51.100.7);

my %place = (
    'eventsync.conf'    => 'conf.d/eventsync.conf',
    'json-log.conf'     => 'conf.d/eventsync-json-log.conf',
    'partners.conf'     => 'snippets/eventsync-partners.conf',
    'internal.conf'     => 'sites-available/eventsync-internal',
    'tls.conf'          => 'sites-available/eventsync-tls',
    'environments.conf' => 'sites-available/eventsync-environments',
    'behind-proxy.conf' => 'sites-available/eventsync-behind-proxy');
for my $recipe (sort keys %place) {
    my $text = slurp("docs/recipes/$recipe");
    my ($said) = $text =~ m{^# /etc/nginx/(\S+): }m;
    is($said, $place{$recipe}, "$recipe says where it belongs");
    $t->write_file("nginx/$place{$recipe}", $text);
    $used{$recipe} = 1;
}

# Makes the certificate, with another serial number each time.
sub certificate {
    my ($serial) = @_;
    my $live = '/etc/letsencrypt/live/events.example';
    must("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
        . "-nodes -days 2 -subj /CN=events.example -set_serial $serial "
        . "-addext subjectAltName=DNS:events.example -keyout $live/privkey.pem "
        . "-out $live/fullchain.pem 2>/dev/null");
    $bundle = "$live/fullchain.pem";
}
certificate(1001);

sub nginx_t {
    my ($name, @sites) = @_;
    unlink glob '/etc/nginx/sites-enabled/*';
    symlink "../sites-available/eventsync-$_", "/etc/nginx/sites-enabled/$_"
        for @sites;
    my $said = `/usr/sbin/nginx -t 2>&1`;
    is($? >> 8, 0, "$name: nginx -t") or diag($said);
    my @warnings = grep { !/"listen \.\.\. http2" directive is deprecated/ }
        $said =~ /^.*\[(?:warn|error|emerg)\].*$/mg;
    is_deeply(\@warnings, [], '... without a warning');
}
###############################################################################
# a store, a receiver, nginx

$t->{store} = '/var/lib/eventsync';
$t->store_init->feed('orders');
my @blocks = slurp('docs/recipes.md') =~ /^## A staging system.*?(?=^## )/ms
    ? $& =~ /^```sh\n(.*?)^```$/msg : ();
is(scalar @blocks, 4, 'the page has the commands of a staging system');

# Runs a block of commands of the page, and returns what it prints.
sub page_runs {
    my ($block) = @_;
    $t->write_file('block', "cd $dir\nPATH=/usr/local/sbin:\$PATH\n$block");
    my $said = `sh -e $dir/block 2>&1`;
    is($? >> 8, 0, 'the commands of the page') or diag($said);
    return $said;
}
my ($staging) = page_runs($blocks[0]) =~ /\b(est_[a-z2-7]+_[a-z2-7]+)$/m;
ok($staging, '... make a key for the staging system');
my @sites = qw(internal tls behind-proxy environments);
nginx_t("$_ alone", $_) for @sites;
nginx_t('all of them', @sites);

my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
my $recv = $t->receiver(200);
$t->endpoint('acme', url => $recv->url('/'), feeds => 'orders',
    start => 'oldest');
$t->run_dispatcher('--wait');

must('/usr/sbin/nginx');
$t->at_end(sub { kill TERM => slurp('/run/nginx.pid')
    if -s '/run/nginx.pid' });
ok(wait_for(sub { Test::Eventsync::port_open(80) && -S
    '/run/eventsync/publish.sock' }), 'nginx runs with all of them');

# A request by curl: { status, version, headers, body, error }.
sub curl {
    my (@args) = @_;
    my $proc = $t->start('curl', {}, 'curl', '-sS', '--max-time', 20, '-D',
        "$dir/headers", '-w', '\n%{http_code} %{http_version}', '--resolve',
        'events.example:443:198.51.100.7', '--resolve',
        'events.example:80:198.51.100.7', '--cacert', $bundle, @args);
    $proc->wait(30);
    $t->forget($proc);
    my ($body, $status, $version) = $proc->stdout
        =~ /\A(.*)\n(\d+) (\S+)\z/s;
    return { status => $status, version => $version, body => $body,
        error => $proc->stderr, headers => slurp("$dir/headers") };
}
my @auth = ('-H', "Authorization: Bearer $key");
my $n = 0;
sub event {
    return ('-H', 'Content-Type: application/cloudevents+json', '-d',
        $t->event(id => 'r' . ++$n));
}

# An event that was published comes by poll and by webhook.
sub arrives {
    my ($name, @poll) = @_;
    my $polled = curl(@poll);
    is($polled->{status}, 200, "$name: a poll")
        or diag(%$polled, slurp('/var/log/nginx/error.log'));
    like($polled->{body}, qr/"id":"r$n"/, '... has the event');
    ok(wait_for(sub { grep { $_->{body} =~ /"id":"r$n"/ } $recv->requests },
        20), '... and so has the webhook')
        or diag(map { $_->stderr } grep { $_->{name} eq 'dispatcher' }
            @{ $t->{procs} });
    return $polled;
}

###############################################################################
# internal.conf: publishing apart from partners

my $events = '/v1/feeds/orders/events';
my $tls = "https://events.example$events?from=oldest";
is(curl('http://10.1.0.5:8080' . $events, @auth, event())->{status}, 201,
    'a producer publishes at the internal address');
arrives('internal.conf', $tls, @auth);
my @socket = qw(--unix-socket /run/eventsync/publish.sock);
is(curl(@socket, "http://localhost$events", @auth, event())->{status}, 201,
    'and another by the socket');
arrives('the socket', $tls, @auth);
is(curl('--interface', '10.2.0.1', "http://10.1.0.5:8080$events", @auth,
    event())->{status}, 403, 'another network is refused');
is(curl("http://10.1.0.5:8080$events?from=oldest", @auth)->{status}, 405,
    'the internal listener serves no polls');
like(curl('http://10.1.0.5:8080/metrics')->{body}, qr/^eventsync_store_/m,
    'but metrics');
is(curl('http://10.1.0.5:8080/health/readyz')->{status}, 200, 'and health');

# Who may connect to the socket, as the page says.
{
    my ($line) = slurp('docs/recipes.md') =~ /^ +d (.*)$/m;
    is($line, '/run/eventsync 2750 root eventsync-publish -',
        'the page says who may use the socket');
    must(qw(chgrp 61800 /run/eventsync));
    must(qw(chmod 2750 /run/eventsync));
    my $as = sub {
        my ($group) = @_;
        return system("setpriv --reuid=61801 --regid=61801 --groups=$group "
            . "curl -sS -o /dev/null @socket http://localhost/health/healthz "
            . '2>/dev/null') >> 8;
    };
    is($as->(61800), 0, 'who is in the group connects');
    is($as->(61802), 7, 'and nobody else');
}

###############################################################################
# tls.conf: partners read, by TLS

is(curl(@socket, "http://localhost$events", @auth, event())->{status}, 201,
    'an event for partners');
my $answer = arrives('tls.conf', $tls, @auth);
is($answer->{version}, '2', 'over HTTP/2');
is(curl('--http1.1', $tls, @auth)->{version}, '1.1', 'or HTTP/1.1');
for my $version (qw(1.2 1.3)) {
    my $short = $version =~ tr/.//dr;
    is(curl("--tlsv$version", '--tls-max', $version, $tls, @auth)->{status},
        200, "TLS $version");
}
for my $version (qw(tls1 tls1_1)) {
    my $said = `echo | openssl s_client -connect 198.51.100.7:443 -$version -cipher 'DEFAULT\@SECLEVEL=0' 2>&1`;
    like($said, qr/alert protocol version|no protocols available/,
        "no $version");
}
my $said = `echo | openssl s_client -connect 198.51.100.7:443 -tls1_2 -cipher 'AES128-SHA256:ECDHE-ECDSA-AES128-SHA256' 2>&1`;
like($said, qr/handshake failure/, 'no ciphers without AEAD and ECDHE');
my $hsts = qr/^strict-transport-security: max-age=63072000\r$/mi;
for my $case ([ 200, $tls, @auth ], [ 401, $tls ],
    [ 404, 'https://events.example/v1/feeds/none', @auth ],
    [ 404, 'https://events.example/' ],
    [ 405, "https://events.example$events", @auth, event() ])
{
    my ($status, @args) = @$case;
    my $answer = curl(@args);
    is($answer->{status}, $status, "$args[0]: $status"
        . ($status == 405 ? ' to a publish' : ''));
    like($answer->{headers}, $hsts, '... with HSTS');
}
$answer = curl("http://events.example$events?from=oldest", @auth);
is($answer->{status}, 403, 'no API over http');
unlike($answer->{headers}, qr/^location:/mi, '... and no redirect');
$answer = curl('http://events.example/docs?x=1');
is($answer->{status}, 308, 'other paths are redirected');
like($answer->{headers}, qr{^location: https://events.example/docs\?x=1\r$}mi,
    '... to the same path');
make_path('/var/www/html/.well-known/acme-challenge');
$t->write_file('www/.well-known/acme-challenge/token', 'proof');
is(curl('http://events.example/.well-known/acme-challenge/token')->{body},
    'proof', 'a certificate can be renewed');
my $serial = sub { my $text = `echo | openssl s_client -connect 198.51.100.7:443 -servername events.example 2>/dev/null | openssl x509 -noout -serial`; return $text };
is($serial->(), "serial=03E9\n", 'the first certificate');
certificate(1002);
must('/usr/sbin/nginx -s reload 2>/dev/null');
ok(wait_for(sub { $serial->() eq "serial=03EA\n" }, 20),
    'a reload brings the next one');

# A long poll and a stream over HTTP/2.
{
    my ($last) = curl($tls, @auth)->{body} =~ /"next":"([^"]+)"/;
    my $url = "https://events.example$events";
    my @waits = map { $t->start('waits', {}, 'curl', '-sN', '--max-time', 15,
        '--resolve', 'events.example:443:198.51.100.7', '--cacert', $bundle,
        @auth, @$_) } [ "$url?after=$last&wait=30" ],
        [ '-H', 'Accept: text/event-stream', "$url?after=$last" ];
    ok(wait_for(sub {
        my $metrics = curl('http://10.1.0.5:8080/metrics')->{body};
        return 2 == grep { $metrics
            =~ /^eventsync_http_waiting_requests\{kind="$_"\} 1$/m }
            qw(poll stream);
    }), 'a long poll and a stream wait');
    is(curl(@socket, "http://localhost$events", @auth, event())->{status}, 201,
        '... for an event');
    ok(wait_for(sub { $_->stdout =~ /"id":"r$n"/ }), '... which comes')
        for @waits;
    $_->stop('TERM') for @waits;
}

###############################################################################
# behind-proxy.conf: the address of the client

# The address in the last line of the log.
sub seen {
    my ($status, $name, $expected, @args) = @_;
    my $before = -s '/var/log/nginx/eventsync.log';
    my $answer = curl(@args);
    is($answer->{status}, $status, $name);
    my $line;
    wait_for(sub { $line = substr slurp('/var/log/nginx/eventsync.log'),
        $before; $line =~ /\n/ });
    is((split ' ', $line // '')[0], $expected, "... is $expected in the log");
}
my $behind = "http://10.1.0.5:8081$events?from=oldest";
arrives('behind-proxy.conf', '--interface', '10.1.0.1', $behind, @auth);
my $says = sub { ('-H', "X-Forwarded-For: $_[0]") };
seen(200, 'the client of a balancer', '203.0.113.9', '--interface', '10.1.0.1',
    $says->('203.0.113.9'), $behind, @auth);
seen(200, 'a client that says another address itself', '203.0.113.9',
    '--interface', '10.1.0.1', $says->('192.0.2.1, 203.0.113.9'), $behind,
    @auth);
seen(200, 'the client of two balancers', '203.0.113.9', '--interface',
    '10.1.0.1', $says->('203.0.113.9, 10.1.0.2'), $behind, @auth);
seen(200, 'a client that is no balancer', '10.1.0.77', '--interface',
    '10.1.0.77', $says->('203.0.113.9'), $behind, @auth);

# By the PROXY protocol; returns the status.
sub proxied {
    my ($from, $client, $key) = @_;
    my $socket = IO::Socket::INET->new(LocalAddr => $from,
        PeerAddr => '10.1.0.5', PeerPort => 8082) or die "8082: $!\n";
    print $socket "PROXY TCP4 $client 198.51.100.7 40000 443\r\n"
        . "GET $events?from=oldest HTTP/1.1\r\nHost: events.example\r\n"
        . "Authorization: Bearer $key\r\nConnection: close\r\n\r\n";
    local $/;
    my $text = <$socket> // '';
    return $text =~ m{^HTTP/1.1 (\d+)} ? $1 : "no answer: $text";
}
is(proxied('10.1.0.1', '203.0.113.20', $key), 200, 'by the PROXY protocol');
like(slurp('/var/log/nginx/eventsync.log'), qr/^203\.0\.113\.20 acme /m,
    '... with the client in the log');
is(proxied('10.1.0.77', '203.0.113.21', $key), 200,
    'one that is no balancer');
unlike(slurp('/var/log/nginx/eventsync.log'), qr/^203\.0\.113\.21/m,
    '... is not believed');

# So one client that fails shuts nobody else out.
my @failed = map { proxied('10.1.0.1', '203.0.113.30', 'esk_wrong') } 1 .. 62;
is($failed[0], 401, 'a client with a wrong key');
is($failed[-1], 429, '... is refused in the end');
is(proxied('10.1.0.1', '203.0.113.31', 'esk_wrong'), 401, '... alone');

###############################################################################
# environments.conf: two stores, two kinds of keys, one catalogue, a canary

# The status of a poll, and its body.
sub at {
    my ($port, $version, $key) = @_;
    my $answer = curl("http://10.1.0.5:$port/$version/feeds/orders/events?from=oldest",
        '-H', "Authorization: Bearer $key");
    return wantarray ? @$answer{qw(status body)} : $answer->{status};
}
is(at(8083, 'v1', $key), 200, 'a real key on the real system');
is(at(8084, 'v1', $staging), 200, 'a key for trials on the staging system');
is(at(8083, 'v1', $staging), 401, '... and on the real one');
is(at(8084, 'v1', $key), 401, 'a real key on the staging system');

is(curl(@socket, "http://localhost$events", @auth, '-H',
    'Content-Type: application/cloudevents+json', '-d', $t->event(id => 'masked',
    data => { id => 7, mail => 'canary' }))->{status}, 201, 'a real event');
like(page_runs($blocks[1]), qr/^copied \d+ events; 0 were/m, '... is mirrored');
my ($mirrored) = grep { $_->{id} eq 'masked' }
    @{ decode_json((at(8084, 'v1', $staging))[1])->{events} };
is_deeply($mirrored->{data}, { id => 7 }, '... without personal data');
ok($mirrored->{mirrored}, '... and marked');

$t->write_file('order.json', '{"type":"object"}');
like(page_runs($blocks[2]), qr/^would register 1 version;.*^registered 1 version;/ms,
    'the catalogue is promoted');
is($t->ctl_ok(qw(type show order.paid 1.0.0)), '{"type":"object"}', '... as it is');
$t->ctl_ok({ stdin => '{"type":"object"}' }, qw(type register order.paid 1.1.0));
my $refused = `cd $dir; sed 's/1\\.0\\.0/1.2.0/; s/object/array/' catalogue.ndjson | /usr/local/sbin/eventsyncctl --store=/var/lib/eventsync type promote 2>&1`;
is($? >> 8, 1, 'a version that breaks the real one is refused');
like($refused, qr/"order\.paid" 1\.2\.0.*breaks what version 1\.1\.0 accepts/, '... with the place');

my $other = $t->partner_key('bolt', feeds => 'orders');
my @canary = split /^/, $blocks[3];
is(at(8083, 'v2', $key), 404, 'before the flag, the canary is for nobody');
is(at(8084, 'v2', $staging), 200, '... except on the staging system');
page_runs($canary[0]);
is(at(8083, 'v2', $key), 200, 'a partner with the flag');
is(at(8083, 'v2', $other), 404, '... and one without');
page_runs($canary[1]);
is(at(8083, 'v2', $key), 200, '... which a percentage takes from nobody');
page_runs($canary[2]);
is(at(8083, 'v2', $other), 200, 'and in the end all have it');

is($t->stop_dispatcher, 0, 'the dispatcher stops');
my $nginx_ends = sub {
    must('/usr/sbin/nginx -s quit 2>/dev/null');
    ok(wait_for(sub { !-e '/run/nginx.pid' }, 20), $_[0]);
};
$nginx_ends->('and nginx');
ok(!-e '/run/eventsync/publish.sock', 'which removes its socket');
is(scalar(grep { /\[(?:alert|crit|emerg)\]/ } split /\n/,
    slurp('/var/log/nginx/error.log')), 0, 'with no complaint in its log');

# What the page says of a killed nginx.
must('/usr/sbin/nginx');
ok(wait_for(sub { -s '/run/nginx.pid' }), 'nginx runs again');
my $master = slurp('/run/nginx.pid') + 0;
my @killed = wait_for(sub { 2 == Test::Eventsync::children($master) })
    ? ($master, Test::Eventsync::children($master)) : ();
kill KILL => @killed;
wait_for(sub { !Test::Eventsync::port_open(80) });
unlink '/run/nginx.pid';
like(`/usr/sbin/nginx 2>&1`,
    qr{unix:/run/eventsync/publish.sock failed \(98: Address already in use\)},
    'a killed nginx leaves its socket');
unlink '/run/eventsync/publish.sock';
must('/usr/sbin/nginx');
ok(wait_for(sub { -s '/run/nginx.pid' }), '... which must be removed');
$nginx_ends->('... and it ends');

###############################################################################
# compose.yaml: each service as process 1 of a PID and a mount namespace

my %service;
{
    my $name;
    for my $line (split /\n/, slurp('docs/recipes/compose.yaml')) {
        $name = $1 if $line =~ /^  (\w+):$/;
        my ($member, $value) = $line =~ /^    (\w+): +(.+)$/ or next;
        $service{$name}{$member} = $value =~ /^\[/ ? decode_json($value)
            : $value =~ tr/"//dr;
    }
    delete $service{store};
}
is_deeply([ sort keys %service ], [qw(ctl dispatcher nginx)],
    'compose.yaml has three services');
$used{$_} = 1 for qw(compose.yaml container-nginx.conf);

my ($volume, $here) = ("$dir/volume", "$dir/compose");
make_path($volume, $here);
must('cp', 'docs/recipes/container-nginx.conf', $here);
$t->write_file('compose/secret-keys', encode_base64('k' x 32));
chmod 0640, "$here/secret-keys";
must('chown', '61999:61999', $volume, "$here/secret-keys");
$ENV{PATH} = '/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin';

# Starts a container.  A webhook of this test needs its exceptions.
sub container {
    my ($name, $opts, @args) = @_;
    my $service = $service{$name};
    my ($uid, $gid) = split /:/, $service->{user};
    my @mounts = map {
        my ($from, $to) = split /:/;
        $from = $from eq 'store' ? $volume : $from =~ s/^\./$here/r;
        "mount --bind $from $to";
    } @{ $service->{volumes} };
    my @command = (@{ $service->{entrypoint} // $service->{command} }, @args);
    $t->write_file('keys/secret-keys', '') if !-e '/etc/eventsync/secret-keys';
    return $t->start($name, $opts, qw(unshare --mount --pid --fork
        --mount-proc --kill-child sh -c), join(' && ', @mounts,
        'mount -t tmpfs tmpfs /tmp', 'cd /',
        "exec setpriv --reuid=$uid --regid=$gid --clear-groups "
        . '--inh-caps=-all "$@"'), 'sh', @command);
}

# The number of process 1 of a container, seen from outside, and its stop as
# docker would do it.
sub first { (Test::Eventsync::children($_[0]->pid))[0] }
sub docker_stop {
    my ($name, $proc) = @_;
    my $signal = ($service{$name}{stop_signal} // 'SIGTERM') =~ s/^SIG//r;
    my ($grace) = $service{$name}{stop_grace_period} =~ /^(\d+)s$/;
    kill $signal => first($proc);
    return $proc->wait($grace);
}
sub ctl_in {
    my (@args) = @_;
    my $opts = ref $args[0] ? shift @args : {};
    my $proc = container('ctl', $opts, @args);
    my $rc = $proc->wait(60) // $proc->stop('KILL');
    is($rc, 0, "eventsyncctl $args[0] in a container")
        or diag($proc->stderr);
    return $proc->stdout;
}

cmp_ok(($service{dispatcher}{stop_grace_period} =~ /(\d+)/)[0], '>', 30,
    'the dispatcher has the time that it waits for requests');

ctl_in('init');
ctl_in(qw(feed create orders));
ctl_in(qw(partner create acme --feeds=orders --publish=orders
    --allow-http=yes --allow-addresses=127.0.0.0/8));
($key) = ctl_in(qw(key create acme), '--scopes=read,publish') =~ /(esk_\S+)/;
ctl_in(qw(endpoint create acme --feeds=orders --start=oldest), '--url='
    . $recv->url('/container'));
@auth = ('-H', "Authorization: Bearer $key");

my $nginx = container('nginx', {});
my @dispatchers = map { container('dispatcher', {},
    @Test::Eventsync::DISPATCHER_OPTS) } 1, 2;
ok(wait_for(sub { Test::Eventsync::port_open(8080)
    && Test::Eventsync::port_open(8081) }, 20), 'nginx runs in a container')
    or diag($nginx->stderr);
ok(wait_for(sub { 1 == grep { $_->stderr =~ /info: eventsync-dispatcher/ }
    @dispatchers }, 20), 'and one of two dispatchers');
@dispatchers = reverse @dispatchers
    if $dispatchers[1]->stderr =~ /info: eventsync-dispatcher/;
ok(wait_for(sub { $dispatchers[1]->stderr =~ /info: waiting/ }, 20),
    '... while the other one waits');

my $inside = "http://127.0.0.1:8081$events";
my $outside = "http://127.0.0.1:8080$events?from=oldest";
is(curl($inside, @auth, event())->{status}, 201, 'a producer publishes');
arrives('containers', $outside, @auth);
is(curl($outside =~ s/\?.*//r, @auth, event())->{status}, 405,
    'partners cannot publish');
is(curl('http://127.0.0.1:8081/health/readyz')->{status}, 200,
    'all are ready');

kill KILL => first($dispatchers[0]);
ok(wait_for(sub { $dispatchers[1]->stderr =~ /info: eventsync-dispatcher/ },
    20), 'the other dispatcher goes on when the first is killed');
is(curl($inside, @auth, event())->{status}, 201, 'an event after that');
arrives('the second dispatcher', $outside, @auth);
is(docker_stop('dispatcher', $dispatchers[1]), 0, 'the dispatcher stops');
is(docker_stop('nginx', $nginx), 0, 'nginx stops');
unlike($nginx->stderr, qr/\[(?:alert|crit|emerg)\]/, 'without complaint');
like(ctl_in('verify'), qr/, 0 faults$/, 'the store is sound');
my ($root) = grep { (stat)[4] == 0 } glob "$volume/* $volume/*/*";
is($root, undef, 'and nothing in it is root\'s');

###############################################################################
# the page, and the units

my $page = slurp('docs/recipes.md');
for my $file (map { m{([^/]+)$} } glob 'docs/recipes/*') {
    ok($used{$file}, "$file is tested");
    like($page, qr{\(recipes/\Q$file\E\)}, '... and the page has it');
}

SKIP: {
    skip('systemd-analyze is not there', 4)
        if system('command -v systemd-analyze >/dev/null 2>&1');
    my $unit = slurp('debian/eventsync-dispatcher.service');
    my ($sed) = slurp('docs/operations.md')
        =~ /^systemctl cat \S+ \| (sed '[^']+') \\\n/m;
    ok($sed, 'docs/operations.md makes a template of the unit');
    my $path = $t->write_file('eventsync-dispatcher.service', $unit);
    must("$sed $path > $dir/eventsync-dispatcher\@.service");
    like(slurp("$dir/eventsync-dispatcher\@.service"),
        qr{^ExecStart=/usr/sbin/eventsync-dispatcher --wait --store=}m,
        '... with --wait');
    must('cp', "$dir/eventsync-dispatcher\@.service",
        "$dir/eventsync-dispatcher\@a.service");
    for my $name ('', '@a') {
        my $said = `systemd-analyze verify --man=no $dir/eventsync-dispatcher$name.service 2>&1`;
        my @wrong = grep { /eventsync/ && !/is not executable/ }
            split /\n/, $said;
        is_deeply(\@wrong, [], "systemd takes eventsync-dispatcher$name");
    }
}

done_testing();
