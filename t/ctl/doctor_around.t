#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl doctor: nginx around the store, and the endpoints' hosts.

use warnings;
use strict;

use Cwd qw(getcwd);
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my ($faketime) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
my $t = webhook_store();
plan skip_all => 'nginx -t finds no sanitizer to load the module with'
    if $t->sanitized;
my $dir = $t->testdir;
my ($rc, $err);

# The checks of a run by name: "warn: text -> next", after the endpoint's name.
sub doctor {
    my (@args) = @_;
    ($rc, my $out, $err) = $t->ctl('doctor', '--json', @args);
    my %said;
    for (@{ decode_json($out)->{checks} }) {
        $said{ $_->{check} } .= join '', map { "$_\n" } join ' ',
            $_->{endpoint} // (), "$_->{state}: $_->{text}",
            defined $_->{next} ? "-> $_->{next}" : ();
    }
    return \%said;
}

###############################################################################
# nginx

my $conf = "$dir/nginx.conf";
sub nginx { doctor('--offline', '--nginx=' . $t->nginx_binary,
    "--nginx-conf=$conf") }

system('cp', $t->build . '/ngx_http_eventsync_module.so', $dir);
sub configure {
    my (%x) = @_;
    $x{$_} //= '' for qw(main events server location);
    $x{listen} //= '127.0.0.1:%%PORT_0%%';
    $x{store} //= '%%STORE%%';
    $x{serves} //= 'eventsync_publish on;';
    $x{ops} //= 'eventsync_metrics on;';
    my $text = $t->expand($t->complete_conf(<<"CONF"));
load_module $dir/ngx_http_eventsync_module.so;
$x{main}
events { $x{events} }
http {
    eventsync_store "$x{store}";   # a "comment" { with ; signs
    server {
        listen $x{listen};
        $x{server}
        location /v1/ { eventsync_poll on; $x{serves} $x{location} }
        location = /ops { $x{ops} eventsync_auth off; }
    }
}
CONF
    $text =~ s/user root;/user $x{user} nogroup;/ if $x{user};
    $t->write_file('nginx.conf', $text);
}

# What the page says: directive => the groups that it needs.
sub groups_of_directives {
    my $page = $t->read_file(getcwd() . '/docs/operations.md');
    my %groups;
    for my $row ($page =~ /^\| … with (.*) \|$/mg) {
        $groups{$_} = [$row =~ /`eventsync-(\w+)`/g]
            for $row =~ /`(eventsync_\w+)`/g;
    }
    return %groups;
}

configure();
my $said = nginx();
like($said->{nginx}, qr/^ok: /, 'a configuration that is good') or diag($err);
is($said->{'nginx-store'}, "ok: nginx serves the store\n", 'of this store');
like($said->{$_}, qr/^ok: /, "$_ is well") for qw(nginx-limits nginx-tls);
is($said->{'nginx-module'}, "skipped: nginx does not run\n", 'it does not run');

$t->run_nginx;
is(nginx()->{'nginx-module'}, "ok: nginx runs the module that is installed\n",
    'it runs');
system('install', '-m', '755', $t->build . '/ngx_http_eventsync_module.so',
    "$dir/ngx_http_eventsync_module.so");
is(nginx()->{'nginx-module'}, 'warn: nginx goes on with the old module, whose '
    . "file was replaced -> service nginx upgrade\n", 'the module is replaced');

configure(server => 'no_such_directive on;');
$said = nginx();
like($said->{nginx}, qr{^fail:\ nginx\ refuses\ its\ configuration:\ unknown
    \ directive\ "no_such_directive"\ in\ \S+:\d+\ ->\ nginx\ -t\ -c\ $conf$}x,
    'a configuration that is refused');
is($rc, 1, 'fails');
is($said->{'nginx-store'}, undef, 'and is not examined');

configure(store => "$dir/other");
local $t->{store} = "$dir/other";
$t->store_init;
$t->{store} = "$dir/store";
is(nginx()->{'nginx-store'}, "warn: nginx serves another store, \"$dir/other\" "
    . "-> set eventsync_store $dir/store, or name the other store with "
    . "--store\n", 'another store');
configure(main => 'worker_rlimit_nofile 100;', events =>
    'worker_connections 900;');
is(nginx()->{'nginx-limits'}, 'warn: worker_rlimit_nofile 100 is below '
    . "worker_connections 900 -> worker_rlimit_nofile 1800;\n", 'few files');
configure(listen => '0.0.0.0:%%PORT_1%%');
like(nginx()->{'nginx-tls'}, qr/^warn:\ the\ listener\ 0\.0\.0\.0:\d+\ takes\ keys
    \ without\ TLS\ ->\ listen\ 443\ ssl/x, 'keys in plain text');
configure(listen => '0.0.0.0:%%PORT_1%%', location => 'eventsync_auth off;');
like(nginx()->{'nginx-tls'}, qr/^ok: /, 'not where none are taken');
$t->write_file('nginx.conf', $t->expand($t->complete_conf("events { }\n"
    . "http { server { listen 127.0.0.1:%%PORT_0%%; } }\n")));
like(nginx()->{'nginx-store'}, qr/^skipped: .* no eventsync_store$/,
    'nginx without the module');

SKIP: {
    skip 'only root can give files away', 4 if $> != 0;
    my ($nobody) = (getpwnam 'nobody')[3];
    my @rights = ('store', 'rights', "--group=$nobody", '--dispatcher=61207',
        map { "--$_->[0]=$_->[1]" } [publish => 61201], [manage => $nobody],
        [ack => $nobody], [pages => $nobody], [delivery => $nobody]);
    $t->ctl_ok(@rights);
    configure(user => 'nobody');
    is(nginx()->{'nginx-user'}, 'fail: the user nobody lacks groups that '
        . "nginx's locations need: 61201 for eventsync_publish -> usermod -a -G "
        . "61201 nobody, then: service nginx restart\n",
        'a worker that lacks a group');
    $t->ctl_ok(map { s/61201/daemon/r } @rights);
    like(nginx()->{'nginx-user'}, qr/need:\ daemon\ for\ eventsync_publish\ ->
        \ usermod\ -a\ -G\ daemon\ nobody,/x,
        '... named where the group has a name');
    $t->ctl_ok(map { s/(delivery|ack)=\d+/$1 eq 'ack' ? 'ack=61201'
        : 'delivery=daemon'/er } @rights);
    like(nginx()->{'nginx-user'}, qr/need:\ 61201\ for\ eventsync_publish;
        \ daemon\ for\ eventsync_metrics\ ->\ usermod\ -a\ -G\ 61201,daemon
        \ nobody/x, 'all that it lacks, but not what it does not need');
    configure(user => 'nobody', location => 'eventsync_checkpoints on;');
    like(nginx()->{'nginx-user'},
        qr/need: 61201 for eventsync_publish, eventsync_checkpoints; daemon for/,
        'and all that it lacks a group for');
    configure(user => 'nobody');
    $t->ctl_ok(map { s/61201/$nobody/r } @rights);
    like(nginx()->{'nginx-user'}, qr/^ok: the user nobody /, 'one that has all');
    my %groups = groups_of_directives();
    for my $directive (sort keys %groups) {
        for my $group (@{ $groups{$directive} }) {
            configure(serves => "$directive on;", ops => '', user => 'nobody');
            $t->ctl_ok(map { s/^--$group=.*/--$group=61202/r =~ s/61201/$nobody/r }
                @rights);
            like(nginx()->{'nginx-user'}, qr/^fail: .* need: 61202 for $directive ->/,
                "a worker with $directive that lacks $group");
        }
    }
    configure(serves => 'eventsync_health on; eventsync_ready_dispatcher off;',
        ops => '', user => 'nobody');
    like(nginx()->{'nginx-user'}, qr/^ok: /,
        'a check of health that does not look at the dispatcher needs no group');
    configure(user => 'nobody');
    $t->ctl_ok(map { s/61201/$nobody/r } @rights);
    SKIP: {
        skip 'setpriv or the list of children is not there', 1
            if !-e "/proc/$$/task/$$/children"
            || system('setpriv --version >/dev/null 2>&1') != 0;
        $t->stop_nginx('TERM');
        system('cp', $t->nginx_binary, "$dir/nginx");
        unlink "$dir/error.log", "$dir/nginx.pid";
        chown 65534, 61200, $dir, glob "$dir/tmp_*";
        $t->ctl_ok(map { s/61201|$nobody/61200/r } @rights);
        $t->{nginx} = $t->start('nginx', {}, 'setpriv', '--reuid=nobody',
            '--regid=61200', '--clear-groups', "$dir/nginx", '-p', "$dir/", '-c',
            $conf, '-e', "$dir/error.log");
        wait_for(sub { Test::Eventsync::port_open($t->port(0)) }, 20)
            or diag($t->{nginx}->stderr . $t->read_file('error.log'));
        $t->ctl_ok(map { s/61201/$nobody/r } @rights);
        is(nginx()->{'nginx-user'}, "fail: nginx's workers run without groups "
            . 'that the user nobody is in: nogroup to open the store, for '
            . 'eventsync_publish, eventsync_metrics -> service nginx '
            . "restart\n",
            'one that was started before it got a group');
        $t->allow_errors(qr/eventsync/);
    }
    system('chown', '-R', '0:0', $t->store);
}
$t->stop_nginx('TERM');

###############################################################################
# endpoints

sub issue {
    my ($name, $days, @as) = @_;
    is(system(@as, qw(sh -c), "openssl req -x509 -newkey ec -pkeyopt "
        . "ec_paramgen_curve:P-256 -nodes -days $days -subj /CN=$name -addext "
        . "subjectAltName=IP:127.0.0.1 -keyout $dir/$name.key -out "
        . "$dir/$name.pem 2>/dev/null"), 0, "a certificate: $name");
}
issue('good', 100);
issue('soon', 2);
my @served = qw(good soon);
SKIP: {
    skip 'needs faketime, and no sanitizer', 1 if !$faketime || $t->sanitized;
    issue('old', 30, 'env', "LD_PRELOAD=$faketime", 'FAKETIME=-90d');
    push @served, 'old';
}
my $n = 2;
my %port = map { $_ => $t->port($n++) } @served;
$t->write_file('nginx.conf', $t->expand($t->complete_conf(join '',
    "events { }\nhttp {\n", (map { <<"CONF" } @served), "}\n")));
    server {
        listen 127.0.0.1:$port{$_} ssl;
        ssl_certificate $dir/$_.pem;
        ssl_certificate_key $dir/$_.key;
        location / { return 204; }
    }
CONF
$t->run_nginx;

sub endpoint {
    my ($url, %opts) = @_;
    return scalar $t->endpoint(delete $opts{partner} // 'acme', url => $url,
        feeds => 'orders', %opts);
}
sub of {
    my ($name, @args) = @_;
    return doctor($name, '--nginx=/nothing/there', @args);
}

$t->ctl_ok('partner', 'create', 'strict', '--feeds=orders');
my $recv = $t->receiver(204);
my $plain = endpoint($recv->url);
my $private = endpoint('https://10.1.2.3/', partner => 'strict');
my $lost = endpoint('https://no-such-host.invalid/', partner => 'strict');
my $dead = endpoint('http://127.0.0.1:' . Test::Eventsync::free_port() . '/');
$t->run_dispatcher("--tls-dir=$dir");
ok(wait_for(sub { (of($plain, '--offline')->{dispatcher} // '')
    =~ /^ok: process/ }), 'the dispatcher runs');

like(of($plain)->{reach}, qr/^$plain\ ok:\ 127\.0\.0\.1:\d+\ accepts\ connections,
    \ in\ \d+\ ms$/x, 'a receiver');
is($rc, 0, 'is well');
is($recv->count, 0, 'and is sent no request');
is(of($private)->{address}, "$private fail: 10.1.2.3 is not a public address "
    . 'of another host, and neither the endpoint\'s record nor its partner\'s '
    . "allows it -> eventsyncctl endpoint change $private "
    . "--allow-addresses=10.1.2.3\n", 'a private address');
is($rc, 1, 'fails');
$t->ctl_ok('endpoint', 'change', $private, '--allow-addresses=10.1.2.3');
like(of($private)->{address}, qr/the\ dispatcher\ was\ not\ started\ with\ leave\ .*
    \ --allow-address=10\.1\.2\.3$/x, 'that the dispatcher does not allow');
like(of($lost)->{dns}, qr/^$lost\ fail:\ no-such-host\.invalid:\ .*\ ->\ getent
    \ ahosts\ no-such-host\.invalid$/x, 'a name that is not known');
like(of($dead)->{reach}, qr/^$dead fail: 127\.0\.0\.1:\d+: .* -> ask the/,
    'nobody listens');

sub tls { endpoint("https://127.0.0.1:$port{$_[0]}/", ca_file => "$_[0].pem",
    @_[1 .. $#_]) }
my $good = tls('good');
$said = of($good);
like($said->{reach}, qr/^$good ok/, 'TLS');
like($said->{certificate}, qr/^$good\ ok:\ the\ receiver's\ certificate\ expires
    \ at\ \S+Z$/x, 'and a certificate');
like(of(tls('soon'))->{certificate}, qr/ warn: .* -> renew the certificate$/,
    'one that ends soon');
like(of(endpoint("https://127.0.0.1:$port{good}/"))->{reach},
    qr/ fail: .*certificate.* -> openssl s_client -connect 127/, 'one that is not trusted');
SKIP: {
    skip 'no old certificate', 3 if @served < 3;
    my $old = tls('old');
    like(of($old)->{reach}, qr/ fail: .*certificate.*expired/, 'one that is over');
    my $client = tls('good', client_cert => 'old.pem', client_key => 'old.key');
    like(of($client, '--offline')->{certificate}, qr/^$client\ fail:\ the\ client
        \ certificate\ expired\ at\ /x, 'a client certificate that is over');
    is($rc, 1, 'fails, also offline');
}
like(of(tls('good', client_cert => 'no.pem'))->{certificate}, qr/fail:\ the
    \ client\ certificate\ "$dir\/no\.pem"\ cannot\ be\ read\ ->\ put\ a\ /x,
    'one that is not there');

$said = of('strict', '--offline');
is($said->{reach}, "skipped: endpoints are not connected to: --offline\n",
    'offline');
is($said->{dns}, undef, 'resolves no name');
$said = of('acme');
unlike(join('', values %$said), qr/$private|$lost/, 'a partner has its own');
like($said->{reach}, qr/^$dead fail/m, 'all of them');
$t->ctl_ok('endpoint', 'pause', $dead);
unlike(of('acme')->{reach}, qr/$dead/, 'but none that is paused');

$t->stop_dispatcher;
$t->run_dispatcher('--proxy=http://127.0.0.1:' . Test::Eventsync::free_port());
ok(wait_for(sub { (of($plain)->{reach} // '')
    eq "skipped: endpoints are not connected to: the dispatcher sends through "
    . "a proxy\n" }), 'nor those behind a proxy');
$t->stop_dispatcher;

done_testing();
