#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# No secret in what a run leaves behind: logs of every level, the store, outputs
# of commands, answers, metrics, arguments and environments of processes, and
# what docs/operations.md says of memory.
#
# The secrets of this test are written to given/, and what receivers are sent to
# sent/.  Everything else is searched for each of them, also in base64 and
# hexadecimal digits.

use warnings;
use strict;

use File::Find;
use JSON::PP;
use MIME::Base64 qw(decode_base64 encode_base64 encode_base64url);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Issuer;
use Test::Eventsync::Proxy;
use Test::Eventsync::Webhooks;

plan skip_all => 'IO::Socket::SSL is not installed'
    unless eval { require Test::Eventsync::Tls; 1 };

my $json = JSON::PP->new->canonical;
my $t = Test::Eventsync->new(workers => 2);
my $dir = $t->testdir;
mkdir "$dir/$_" for qw(given sent said);
my (%canary, %seen, $nsaid);

# A secret of this test, which nothing else contains.
sub canary {
    my ($name, $text) = @_;
    $text //= join '', 'Canary', map { ('a' .. 'z', 0 .. 9)[rand 36] } 1 .. 24;
    return $canary{$name} = $text;
}

sub given {
    my ($name, $text) = @_;
    return $t->secret_file($text, "given/$name");
}

# What somebody was told is searched, too, unless it is the one place where a
# secret is shown.
sub said { my ($what, @text) = @_;
    $t->write_file(sprintf('said/%03d-%s', ++$nsaid, $what), join "\n", @text) }

sub shown {
    my ($name, $like, @command) = @_;
    my ($rc, $out, $err) = $t->ctl(@command);
    is($rc, 0, "$name is made") or diag($err);
    said('notes', $err);
    return canary($name, ($out =~ $like)[0] // die "$name: $out\n");
}

sub command {
    my (@command) = @_;
    my ($rc, $out, $err) = $t->ctl(@command);
    said(join('-', grep { /^[a-z]+$/ } @command[0, 1]), $rc, $out, $err);
    return $rc;
}

sub ask {
    my ($method, $path, $auth, $body, %opts) = @_;
    my $answer = $t->http($method => $path, { ($auth ? (authorization =>
        "Bearer $auth") : ()), %{ delete $opts{headers} // {} } },
        ref $body ? $json->encode($body) : $body, %opts);
    said('answer', $answer->{head} // '', $answer->{body} // '')
        if !delete $opts{secret};
    return $answer;
}
sub one_secret { return ask(@_[0 .. 3], @_[4 .. $#_], secret => 1) }

# Arguments and environments of all processes that run now.
sub look {
    for my $pid (map { m{(\d+)$} } glob '/proc/[0-9]*') {
        next if $pid == $$;
        for my $what (qw(cmdline environ)) {
            my $text = $t->read_file("/proc/$pid/$what");
            next if $text !~ /\Q$dir\E/;
            $seen{"$pid $what"} = $text;
        }
    }
}

###############################################################################
# secrets, and the processes that have them

system("openssl rand -base64 32 > $dir/given/keys; chmod 600 $dir/given/keys")
    == 0 or die;
canary('key file', $t->read_file('given/keys') =~ /(\S+)/);
my $by_key = "--key-file=$dir/given/keys";
given('token-keys.json', $json->encode({ keys => [{ kty => 'oct',
    alg => 'HS256', kid => 'one',
    k => canary('token keys', encode_base64url(join '', map { chr 97 + rand 26 }
        1 .. 32)) }] }));
given('otlp', 'x-tenant: ' . canary('OTLP header') . "\n");
given('proxy', 'me:' . canary('proxy password') . "\n");

$t->store_init(sealed => 1)->feed('orders');
$t->partner('acme', feeds => 'orders', publish => 'orders');
my $text = qr/esk_[a-z2-7]+_([a-z2-7]+)/;
sub key_of { my ($name, @opts) = @_;
    my ($rc, $out) = $t->ctl('key', 'create', 'acme', @opts);
    my ($key) = $out =~ /(esk_\w+)/ or die "no key: $out\n";
    canary($name, (split /_/, $key)[2]);
    return $key }
my $key = key_of('key', '--scopes=read,publish,ack,manage');
my $admin = key_of('key of an operator', '--scopes=read,admin');
my $revoked = key_of('revoked key', '--scopes=read');
$t->ctl_ok('key', 'revoke', (split /_/, $revoked)[1]);
(my $wrong = $key) =~ s/_[a-z2-7]{20}([a-z2-7]+)$/'_' . ('b' x 20) . $1/e;

my $tls = Test::Eventsync::Tls->new($t);
rename "$dir/pki", "$dir/given/pki";
$tls->{dir} = "$dir/given/pki";
$tls->authority('ca');
$tls->certificate('server', subject => '/CN=localhost', eku => 'serverAuth',
    san => 'IP:127.0.0.1');
$tls->certificate('acme', subject => '/CN=acme');
$tls->certificate('hook', subject => '/CN=hook');
$t->ctl_ok('key', 'create', 'acme', '--scopes=read', '--certificate='
    . $tls->path('acme.pem'));
canary("private key $_", (split /\n/, $t->read_file("given/pki/$_.key"))[2])
    for qw(server acme hook ca);

my $issuer = Test::Eventsync::Issuer->new($t, iss => 'https://login.example/',
    aud => 'https://events.example');
$issuer->key(ec => 'ES256');
rename "$dir/ec.pem", "$dir/given/ec.pem";
$issuer->keys_are('jwks', 'ec');
{ no warnings 'redefine';
  my $file = \&Test::Eventsync::Issuer::file;
  *Test::Eventsync::Issuer::file = sub { $_[1] eq 'ec.pem'
      ? "$dir/given/ec.pem" : $file->(@_) }; }

# A receiver says what it was sent, which attempts record.
my $tokens = $t->receiver(sub { return { body => JSON::PP->new->encode({
    access_token => $canary{'access token of OAuth'}, token_type => 'bearer',
    expires_in => 3600 }) } }, dir => "$dir/sent") if
    canary('access token of OAuth');
my $recv = $t->receiver(sub {
    my ($r) = @_;
    return $r->{path} =~ /echo/
        ? { status => 500, body => join "\n",
            map { "$_: $r->{headers}{$_}" } sort keys %{ $r->{headers} } }
        : 204;
}, dir => "$dir/sent");
my $collector = $t->receiver(200, dir => "$dir/sent");
my $proxy = Test::Eventsync::Proxy->start(answer => sub { return
    '127.0.0.1:' . $recv->port }, dir => "$dir/sent",
    port => Test::Eventsync::free_port());

###############################################################################
# nginx with every part, at its loudest

my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds checkpoints
    endpoints status dashboard token pages backfill snapshot sse catalogue
    openapi);
$t->write_file_expand('nginx.conf', <<"CONF");
error_log %%TESTDIR%%/error.log info;
error_log %%TESTDIR%%/debug.log debug;
events { }
http {
    log_format all '\$remote_addr \$request \$status \$http_referer \$eventsync_partner \$eventsync_key \$eventsync_feed \$eventsync_first \$eventsync_issuer';
    access_log %%TESTDIR%%/access.log all;
    eventsync_store %%STORE%%;
    eventsync_key_file %%TESTDIR%%/given/keys;
    eventsync_token_keys %%TESTDIR%%/given/token-keys.json;
    eventsync_otlp http://127.0.0.1:@{[ $collector->port ]} share=1;
    ssl_certificate %%TESTDIR%%/given/pki/server.pem;
    ssl_certificate_key %%TESTDIR%%/given/pki/server.key;
    ssl_client_certificate %%TESTDIR%%/given/pki/ca.pem;
    ssl_verify_client optional;
    ssl_protocols TLSv1.2 TLSv1.3;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% ssl;
        eventsync_issuer https://login.example/ jwks=%%TESTDIR%%/jwks.json
            aud=https://events.example partner_claim=partner;
        location /v1/ { $all }
        location /tls/ { eventsync_poll on; eventsync_feeds on;
            eventsync_prefix /tls; eventsync_auth key_or_mtls; }
        location /operator/ { eventsync_operator on; }
        location = /ops/metrics { eventsync_metrics on; eventsync_auth off; }
    }
}
CONF
$t->run_nginx;

###############################################################################
# publishing and polling with every credential, right and wrong

my %event = ('content-type' => 'application/cloudevents+json');
is(ask(POST => '/v1/feeds/orders/events', $key, $t->event, headers => \%event)
    ->{status}, 201, 'a key publishes');
is(ask(GET => '/v1/feeds/orders/events', $key)->{status}, 200, 'and polls');
my $grant = one_secret(POST => '/v1/token', undef,
    'grant_type=client_credentials&client_id=' . (split /_/, $key)[1]
    . "&client_secret=$key", headers => { 'content-type' =>
    'application/x-www-form-urlencoded' });
my $token = $json->decode($grant->{body})->{access_token} // die $grant->{body};
canary('access token', (split /\./, $token)[2]);
is(ask(GET => '/v1/feeds/orders/events', $token)->{status}, 200,
    'an access token polls');
my $foreign = $issuer->token;
canary('token of an issuer', (split /\./, $foreign)[2]);
is(ask(GET => '/v1/feeds/orders/events', $foreign)->{status}, 200,
    'a token of an issuer polls');
my $certified = $tls->request(GET => '/tls/feeds', cert => 'acme',
    port => $t->port(1));
is($certified->{status}, 200, 'a certificate polls');
said('answer', $certified->{head} // '', $certified->{body});

my $refused = '';
for my $credential ($wrong, $revoked, "x$key", "$key ", substr($key, 0, 30),
    "$token-", substr($token, 0, -3) . 'AAA', substr($foreign, 0, -3) . 'AAA',
    $issuer->token(claims => { exp => time - 9000 }),
    $issuer->token(claims => { aud => 'urn:other' }), canary('no credential'))
{
    my $got = ask(GET => '/v1/feeds/orders/events', $credential)->{status};
    $refused .= "$got " if $got != 400 && $got != 401;
}
is($refused, '200 ', 'other credentials are refused, except one with a space');
my $misplaced = key_of('key in a URL', '--scopes=read');
for my $path ("/v1/feeds/$misplaced/events", "/v1/feeds?x=$misplaced",
    "/v1/feeds/orders/events?after=$misplaced")
{
    my $got = one_secret(GET => $path, $key)->{status};
    cmp_ok($got, '>=', 400, 'a key does not belong in a URL');
}
ask(POST => '/v1/token', undef, "grant_type=client_credentials&client_secret=$_"
    . '&client_id=' . (split /_/, $key)[1], headers => { 'content-type' =>
    'application/x-www-form-urlencoded' }) for $wrong, "$key-";

###############################################################################
# endpoints with every kind of secret

my @proxied = ("--proxy=http://127.0.0.1:" . $proxy->port,
    "--proxy-auth-file=$dir/given/proxy");
my $run = sub {
    $t->run_dispatcher($by_key, '--log-level=debug', '--log-attempts',
        '--log-format=json', "--tls-dir=$dir/given/pki",
        "--ca-file=$dir/given/pki/ca.pem", '--otlp=http://127.0.0.1:'
        . $collector->port, '--otlp-share=1',
        "--otlp-headers-file=$dir/given/otlp", @_);
};
$t->ctl_ok('partner', 'change', 'acme', '--allow-http=yes',
    '--allow-addresses=127.0.0.0/8');
sub endpoint {
    my ($name, %opts) = @_;
    my $headers = given("headers-$name", $json->encode({ 'x-api-key' =>
        canary("header of $name"), authorization => 'Basic '
        . encode_base64('user:' . canary("password of $name"), '') }));
    my @oauth = $opts{oauth} ? '--oauth=@' . given("oauth-$name",
        $json->encode({ token_url => $tokens->url('/token'),
            client_id => 'me', client_secret => canary("client of $name") }))
        : ("--headers=\@$headers");
    my ($rc, $out, $err) = $t->ctl('endpoint', 'create', 'acme',
        "--url=$opts{url}", '--feeds=orders', '--start=oldest',
        '--schedule=0,100ms,100ms', $by_key, @oauth, @{ $opts{more} // [] });
    is($rc, 0, "endpoint $name") or diag($err);
    canary("secret of $name", $out =~ m{whsec_(\S+)});
    return $out =~ /(ep_\w+)/;
}
my ($echo) = endpoint('echo', url => $recv->url('/echo'));
my ($oauth) = endpoint('oauth', url => $recv->url('/oauth'), oauth => 1);
my ($mtls) = endpoint('mtls', url => 'https://127.0.0.1:' . $t->port(1)
    . '/v1/x', more => ['--client-cert=hook.pem', '--client-key=hook.key']);
my ($gone) = endpoint('gone', url => $recv->url('/gone'), more => ['--paused']);
$run->();
ok(wait_for(sub {
    my %came = map { $_->{path} => 1 } $recv->requests;
    return 2 == grep { $came{$_} } qw(/echo /oauth);
}, 30), 'deliveries');
ok(wait_for(sub { $t->ctl_ok('endpoint', 'dead') =~ /$echo/ }, 30),
    'and a dead letter');
ok(wait_for(sub { $collector->count >= 2 }, 30), 'and spans');
look();

shown('rotated secret', qr/whsec_(\S+)/, 'endpoint', 'rotate', $echo, $by_key);
my $made = one_secret(POST => '/v1/endpoints', $key, { url =>
    'https://partner.example/hook', feeds => ['orders'],
    headers => { 'x-key' => canary('header by HTTP') } },
    headers => { 'content-type' => 'application/json' });
is($made->{status}, 201, 'a partner makes an endpoint') or diag($made->{body});
my $by_http = $json->decode($made->{body});
canary('secret by HTTP', $by_http->{secret} =~ /whsec_(\S+)/);
my %type = (headers => { 'content-type' => 'application/json' });
my $rotated = one_secret(POST => "/v1/endpoints/$by_http->{name}/rotate", $key,
    {}, %type);
canary('secret rotated by HTTP', $rotated->{body} =~ /whsec_([^"]+)/);
for my $bad ({ secret => 'whsec_' . canary('bad secret') },
    { headers => { 'bad name' => canary('bad header') } },
    { headers => { 'x-a' => canary('control') . "\n" } },
    { headers => canary('no object') },
    { oauth => { client_secret => canary('bad client') } },
    { url => 'https://me:' . canary('password in a URL') . '@x.example/' },
    { canary('member') => 1, secret => canary('secret beside it') })
{
    my $got = ask(PATCH => "/v1/endpoints/$by_http->{name}", $key, $bad, %type);
    cmp_ok($got->{status}, '>=', 400, 'a bad secret is refused');
}
delete $canary{member};                 # a name is no secret
ask(GET => '/v1/endpoints', $key);
ask(GET => "/v1/endpoints/$by_http->{name}", $key);
ask(GET => "/v1/endpoints/$by_http->{name}/attempts", $key);
ask(GET => $_, $key) for qw(/v1/status /v1/feeds /v1/openapi.json
    /v1/dashboard/data);
ask(GET => $_, $admin) for qw(/operator/ /operator/status);
ask(GET => '/ops/metrics');

my $link = shown('link', qr/esl_[a-z2-7]+_([a-z2-7]+)/, 'dashboard', 'link',
    'acme', '--url=https://events.example/v1');
my ($whole) = $t->ctl_ok('dashboard', 'link', 'acme',
    '--url=https://events.example/v1') =~ /(esl_\w+)/;
canary('redeemed link', (split /_/, $whole)[2]);
my $session = one_secret(POST => '/v1/dashboard/session', undef,
    { link => $whole }, %type);
is($session->{status}, 200, 'a link opens the dashboard')
    or diag($session->{body});
canary('session', $1) if $session->{body} =~ /esk_\w+?_(\w+)/;
ask(POST => '/v1/dashboard/session', undef, { link => $_ }, %type)
    for $whole, "$whole-", substr($whole, 0, -2) . 'aa';

###############################################################################
# by a proxy, and one that refuses

is($t->stop_dispatcher, 0, 'the dispatcher ends');
$run->(@proxied);
ask(POST => '/v1/feeds/orders/events', $key, $t->event, headers => \%event);
ok(wait_for(sub { $t->read_file('sent/proxy-' . $proxy->port . '.log')
    =~ /CONNECT/ }, 30), 'deliveries go by the proxy');
look();
# A request through the proxy waits for TLS that the receiver has not.
$t->stop_dispatcher('KILL');
$run->();

###############################################################################
# what commands say

my $dead = command('endpoint', 'dead');
command(@$_) for ['verify', $by_key], ['doctor', $by_key, '--offline',
    "--nginx-conf=$dir/nginx.conf"], ['doctor', $by_key, '--json', '--offline'],
    ['doctor', $echo, $by_key, '--offline'], ['endpoint', 'list'],
    ['endpoint', 'list', '--json'], ['endpoint', 'show', $echo],
    ['endpoint', 'show', $oauth], ['endpoint', 'attempts'],
    ['endpoint', 'attempts', '--json'], ['endpoint', 'status'],
    ['endpoint', 'keys', $echo], ['key', 'list', '--json'],
    ['partner', 'show', 'acme'], ['dashboard', 'links'],
    ['explain', $echo, '--feed=orders'], ['tail', 'orders'],
    ['feed', 'publishers', 'orders'], ['store', 'rekey', $by_key],
    ['endpoint', 'change', $echo, $by_key, '--headers=@'
        . given('bad', '{"a b":"' . canary('bad header of a file') . '"}')],
    ['endpoint', 'change', $echo, $by_key, '--secret=@'
        . given('worse', canary('bad secret of a file'))],
    ['endpoint', 'change', $echo, '--secret=@' . given('unsealed',
        'whsec_' . encode_base64(canary('secret without keys'), ''))],
    ['backup', "$dir/backup"];
my $args = $t->ctl_start({ plain => 1 }, 'tail', 'orders', '--follow',
    '--url=http://127.0.0.1:' . $t->port(0) . '/v1', '--key=@'
    . given('tail', $key));
ok(wait_for(sub { $args->stdout =~ /"id"/ }, 30), 'a reader follows by HTTP')
    or diag($args->stderr);
look();
$args->stop('KILL');

###############################################################################
# memory

# What the page says: the text of a file is not kept, nor the secrets of an
# endpoint that is gone.
my $pid = $t->{dispatcher}->pid;
sub memory {
    my ($pid) = @_;
    no warnings 'portable';
    my $all = '';
    open my $mem, '<:raw', "/proc/$pid/mem" or return;
    for (split /\n/, $t->read_file("/proc/$pid/maps")) {
        my ($from, $to, $rest) = /^(\w+)-(\w+) rw\S+ (.*)/ or next;
        next if $rest =~ m{/store/} || hex($to) - hex($from) > 64 << 20;
        sysseek $mem, hex $from, 0;
        sysread $mem, my $part, hex($to) - hex $from;
        $all .= $part // '';
    }
    return $all;
}
$t->ctl_ok('endpoint', 'remove', $gone);
my %left;
my $clean = wait_for(sub {
    my $memory = memory($pid) // return 'none';
    %left = map { $_ => 1 } grep { index($memory, $canary{$_}) >= 0 }
        'key file', 'token keys', 'key', 'header of gone';
    return !%left;
}, 60);
SKIP: {
    skip 'memory cannot be read', 1 if ($clean // '') eq 'none';
    is_deeply([ sort keys %left ], [],
        'the dispatcher\'s memory has no text of key files');
}

###############################################################################
# everything that is left

is($t->stop_dispatcher, 0, 'the dispatcher ends');
$t->stop_nginx;

my %forms;
for my $name (keys %canary) {
    my $text = $canary{$name};
    my @raw = ($text, $text =~ m{\A[A-Za-z0-9+/=]{32,}\z}
        ? decode_base64($text) : ());
    for my $raw (grep { length >= 16 } @raw) {
        $forms{$_} = $name for $raw, unpack('H*', $raw),
            map { substr $_, 0, 20 } encode_base64($raw, ''),
                encode_base64("user:$raw", ''), encode_base64("me:$raw", '');
    }
}
my $any = join '|', map { quotemeta } sort keys %forms;
my (@found, $nfiles);
sub search {
    my ($where, $text) = @_;
    my %once;
    while ($text =~ /($any)/g) {
        push @found, "$where: $forms{$1}" if !$once{ $forms{$1} }++;
    }
}
find({ no_chdir => 1, wanted => sub {
    my $path = $File::Find::name;
    return if !-f $path || $path =~ m{^\Q$dir\E/(?:given|sent)/};
    return if $path =~ m{/(?:lock|data)\.mdb$} && !-s $path;
    my $text = $t->read_file($path);
    # nginx's own lines of this level have whole requests.
    $text = join "\n", grep { /eventsync/ && !/http (?:header|request line)|"Authorization|posix_memalign|recv: / }
        split /\n/, $text if $path =~ m{/debug\.log$};
    $nfiles++;
    search($path =~ s{^\Q$dir\E/}{}r, $text);
} }, $dir);
search($_, $seen{$_}) for sort keys %seen;
cmp_ok($nfiles, '>', 60, 'many files were searched');
cmp_ok(scalar keys %canary, '>', 40, 'for many secrets');
cmp_ok(scalar(grep { /cmdline/ } keys %seen), '>=', 4, 'and processes');
is_deeply(\@found, ['access.log: key in a URL'],
    'no secret is left anywhere, but nginx logs URLs');

# The search finds what is there.
@found = ();
search('control', $json->encode(\%canary));
is_deeply([ sort map { s/^control: //r } @found ], [ sort keys %canary ],
    'it would find each of them');

done_testing();
