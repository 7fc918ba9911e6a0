#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Every operation of the OpenAPI document with every credential that must not
# do: the answers follow from what the operation is about, an answer says
# nothing of what its client may not know, and nothing of one partner reaches
# another, nor a log or metric.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Matrix;
use Test::Eventsync::OpenApi;

plan skip_all => 'IO::Socket::SSL is not installed'
    unless eval { require Test::Eventsync::Tls; 1 };

###############################################################################
# the rules

# What each operation is about.  One that is not here fails.
my %ABOUT = map { my $about = $_->[0]; map { $_ => $about } split ' ', $_->[1] }
    [ open => 'getHealth getReadiness getOpenapi' ],
    [ read => 'pollEvents getPage backfillEvents getManifest getSnapshot
        listCheckpoints getCheckpoint' ],
    [ publish => 'publishEvents' ],
    [ ack => 'putCheckpoint removeCheckpoint' ],
    [ feed => 'getFeed' ],
    [ feeds => 'listFeeds' ],
    [ authorize => 'authorizeFeed' ],
    [ type => 'getEventType getSchema' ],
    [ types => 'listEventTypes' ],
    [ status => 'getStatus' ],
    [ endpoints => 'listEndpoints' ],
    [ create => 'createEndpoint' ],
    [ manage => 'showEndpoint changeEndpoint removeEndpoint pauseEndpoint
        resumeEndpoint rotateSecret getEndpointStatus getEndpointKeys
        listAttempts listDeadLetters cancelEvents discardDeadLetters
        simulateFailure sendTestEvent' ],
    [ resend => 'replayEvents resendEvent redriveDeadLetters skipEvent' ],
    [ admin => 'listPartners getPartnerStatus getStore getMetrics' ],
    [ client => 'createToken' ],
    [ link => 'createSession' ];

# What each answers to the credential of another partner, to a key of the partner
# that is narrowed to another feed, and to a token with all scopes but those
# that are required.  A success has nothing of another partner, and a 404 has
# the bytes of the answer for what does not exist.
my @COLUMNS = qw(other narrowed less);
my %RULE = (
    read      => [ 404, 404, 403 ],
    publish   => [ 404, 404, 403 ],
    ack       => [ 404, 404, 403 ],
    feed      => [ 404, 404, 404 ],
    feeds     => [ 200, 200, 200 ],
    authorize => [ 403, 403, 403 ],
    type      => [ 404, 404, 404 ],
    types     => [ 200, 200, 200 ],
    status    => [ 200, 200, 403 ],
    endpoints => [ 200, 200, 403 ],
    create    => [ 201, 403, 403 ],    # it is sent only what its partner may read
    manage    => [ 404, 404, 403 ],
    resend    => [ 404, 404, 403 ],
    admin     => [ 403, 403, 403 ],
);

# The scopes of which a credential must have one, and which `less` has not.
my %NEEDS = (read => 'read', publish => 'publish', ack => 'ack',
    feed => 'read publish ack', feeds => 'read publish ack', authorize => 'read',
    type => 'read publish', types => 'read publish', status => 'read manage',
    endpoints => 'manage', create => 'read', manage => 'manage', resend => 'read',
    admin => 'admin');

# Credentials that are refused whatever the request is about, with the reason,
# which is the same for all that a client may not tell apart.
my $key_unknown = qr/^The key is unknown, expired or revoked\.$/;
my $cert_unknown = qr/^The client certificate is unknown, expired or revoked\.$/;
my $no_cert = qr/^The request has no client certificate\.$/;
my $pair_unknown = qr/^The client certificate is unknown, expired or revoked, or belongs to/;
my %REFUSED = (
    'no key' => [ 401, qr/^The request has no Authorization header\.$/ ],
    'an unknown key' => [ 401, $key_unknown ],
    'an expired key' => [ 401, $key_unknown ],
    'a revoked key' => [ 401, $key_unknown ],
    'a token of a revoked key' => [ 401,
        qr/^The token or its key is expired or revoked, or/ ],
    'a key of a disabled partner' => [ 401, $key_unknown ],
    'a key whose data-use agreement has ended' => [ 403,
        qr/^The data-use agreement has ended\.$/ ],
    'a wrong address' => [ 403,
        qr/^The credential may not be used from this address\.$/ ],
    'no certificate' => [ 401, $no_cert ],
    'an unknown certificate' => [ 401, $cert_unknown ],
    'a revoked certificate' => [ 401, $cert_unknown ],
    'a certificate of another authority' => [ 401,
        qr/^The client certificate was not accepted: FAILED:/ ],
    'a key without its certificate' => [ 401, $no_cert ],
    'a key with an unknown certificate' => [ 401, $pair_unknown ],
    'a key with a revoked certificate' => [ 401, $pair_unknown ],
    'a key with the certificate of another' => [ 401, $pair_unknown ],
    'a token with the certificate of another' => [ 401, $pair_unknown ],
);

###############################################################################
# the server

my $api = Test::Eventsync::OpenApi->new(do { local (@ARGV, $/) = 'docs/openapi.json'; <> });
my @ids = map { $_->{id} } $api->operations;
is_deeply([ grep { !$ABOUT{$_} } @ids ], [], 'each operation has a rule');
is_deeply([ grep { my $id = $_; !grep { $_ eq $id } @ids } sort keys %ABOUT ], [],
    'and each rule an operation');

my $t = Test::Eventsync->new;
my $tls = Test::Eventsync::Tls->new($t);
my $m = Test::Eventsync::Matrix->new($t, $api);
my $recv = $t->receiver(sub { return { status => 500, body => 'body-q7'
    . ($_[0]{path} =~ /q7(\w+)/)[0] } });

configure();
my %key = credentials();
$t->run_nginx;
$m->fill($_, $key{$_}) for qw(acme bolt);
my %with = requests();
is($m->ask('putCheckpoint', $with{own}, $m->names('acme'))->{status}, 201, 'a checkpoint');
$t->run_dispatcher(qw(--log-attempts --log-format=json));
for my $who (qw(acme bolt)) {
    ok(wait_for(sub { $m->ask('listAttempts', { key => $key{$who} },
        $m->names($who))->{body} =~ /body-q7$who/ }, 30), "$who: an attempt");
}

my $before = state();
refused();
rules();
methods();
is(state(), $before, 'nothing was changed by what was refused');
own();
caches();
written();
done_testing();

###############################################################################

sub configure {
    my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds backfill
        snapshot catalogue checkpoints endpoints pages authorize openapi health
        status dashboard operator);
    $t->store_init;
    $m->partner($_, $recv->url('')) for qw(acme bolt);
    # a partner may ask for any feed, and is sent those that it may read
    $t->endpoint('q7bolt', url => $recv->url('') . '/hook-q7bolt', feeds => '*',
        start => 'oldest', ordering => 'none', schedule => '0,10h');
    $t->secret_file('{"keys":[{"kty":"oct","alg":"HS256","kid":"one",'
        . '"k":"MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE"}]}', 'tokens.jwk');
    $tls->authority($_) for qw(ca stranger);
    $tls->certificate('server', subject => '/CN=localhost', eku => 'serverAuth');
    $tls->certificate($_) for qw(acme bolt nobody former);
    $tls->certificate('foreign', by => 'stranger', subject => '/CN=acme');

    my ($problem) = $t->read_file("$Test::Eventsync::ROOT/docs/directives.md")
        =~ /^(    error_page 495.*?^    \}\n)/ms or die;
    my $json = $t->read_file("$Test::Eventsync::ROOT/docs/recipes/json-log.conf");
    $t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    $json
    log_format all '\$http_x_by|\$eventsync_partner \$eventsync_key \$eventsync_issuer'
        ' \$eventsync_feed \$eventsync_epoch \$eventsync_problem \$eventsync_limit_policy'
        ' \$sent_http_location \$sent_http_link \$sent_http_www_authenticate|\$request';
    access_log %%TESTDIR%%/access.log all;
    access_log %%TESTDIR%%/json.log eventsync_json;
    proxy_cache_path %%TESTDIR%%/cache keys_zone=cache:1m;
    eventsync_store %%STORE%%;
    eventsync_token_keys %%TESTDIR%%/tokens.jwk;
    keepalive_requests 100000;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_certificate %%TESTDIR%%/pki/server.pem;
        ssl_certificate_key %%TESTDIR%%/pki/server.key;
        ssl_client_certificate %%TESTDIR%%/pki/ca.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_verify_client optional;
        $problem
        location /v1/ { $all eventsync_metrics endpoints; eventsync_token on; }
        location /mtls/ { $all eventsync_metrics on; eventsync_auth mtls; }
        location /both/ { $all eventsync_metrics on; eventsync_token on;
            eventsync_auth key_and_mtls; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        location /v1/ { proxy_pass http://127.0.0.1:%%PORT_0%%; proxy_cache cache; }
    }
}
CONF
}

# The texts of keys; certificates are registered with all scopes.
sub credentials {
    my %k = map { $_ => $m->key($_) } qw(acme bolt);
    my %all = (scopes => 'read,publish,ack,manage,admin');
    $k{narrowed} = $m->key('acme', feeds => 'spare-q7acme');
    $k{expired} = $m->key('acme', expires => '2020-01-01T00:00:00Z');
    $k{revoked} = $m->key('acme');
    $k{everything} = $m->key('acme', %all);
    $k{elsewhere} = $m->key('acme', %all, allow_from => '192.0.2.1');
    my @as_acme = (%all, feeds => 'feed-q7acme', publish => 'feed-q7acme');
    $k{disabled} = $t->partner_key('disabled', @as_acme);
    $t->ctl_ok(qw(partner change disabled --disabled));
    $k{ended} = $t->partner_key('ended', @as_acme);
    $t->ctl_ok(qw(partner data-use ended --purpose=x --feeds=* --expires=2020-01-01T00:00:00Z));
    $k{operator} = $t->partner_key('operator', %all, key_feeds => 'none');
    $k{unknown} = do {
        my $other = Test::Eventsync->new;
        $other->store_init->partner_key('x', feeds => '*');
    };
    for my $cert (qw(acme bolt former)) {
        my $c = $m->canary($cert eq 'bolt' ? 'bolt' : 'acme');
        my $id = $t->ctl_ok(qw(key create), $c, '--scopes=read,publish,ack,manage',
            '--certificate=' . $tls->path("$cert.pem"));
        $t->ctl_ok(qw(key revoke), $id =~ /^([a-z2-7]{10})$/m) if $cert eq 'former';
    }
    return %k;
}

# A token of a key, of all scopes that it has but those.
sub token {
    my ($text, $without) = @_;
    my %not = map { $_ => 1 } split ' ', $without // 'admin';
    my $scope = join '+', grep { !$not{$_} } qw(read publish ack manage admin);
    my $answer = $t->http(POST => '/v1/token',
        { 'content-type' => 'application/x-www-form-urlencoded' },
        'grant_type=client_credentials&client_id=' . substr($text, 4, 10)
        . "&client_secret=$text&scope=$scope");
    return Test::Eventsync::json($answer->{body})->{access_token} // die $answer->{body};
}

# What each credential is presented with.
sub requests {
    my %mtls = (tls => $tls, port => $t->port(1), prefix => '/mtls');
    my %both = (%mtls, prefix => '/both');
    my %token = map { $_ => token($key{$_}) } qw(acme bolt revoked);
    $t->ctl_ok(qw(key revoke), substr $key{revoked}, 4, 10);
    my ($link) = $t->ctl_ok(qw(dashboard link q7bolt), '--scopes=read,manage',
        '--url=https://x.example/v1') =~ /(esl_\S+)/;
    my $session = Test::Eventsync::json($m->ask('createSession', { link => $link },
        {})->{body})->{access_token};

    my %own = (own => { key => $key{acme} }, 'own token' => { key => $token{acme} },
        'own certificate' => { %mtls, cert => 'acme' },
        'own key and certificate' => { %both, key => $key{acme}, cert => 'acme' },
        'own token and certificate' => { %both, key => $token{acme}, cert => 'acme' });
    my %other = (key => { key => $key{bolt} }, token => { key => $token{bolt} },
        session => { key => $session }, certificate => { %mtls, cert => 'bolt' },
        'key and certificate' => { %both, key => $key{bolt}, cert => 'bolt' });
    return (
        %own, narrowed => { key => $key{narrowed} },
        (map { ("other $_" => { %{ $other{$_} }, by => 'bolt' }) } keys %other),
        'no key' => {}, 'an unknown key' => { key => $key{unknown} },
        'an expired key' => { key => $key{expired} },
        'a revoked key' => { key => $key{revoked} },
        'a token of a revoked key' => { key => $token{revoked} },
        'a key of a disabled partner' => { key => $key{disabled} },
        'a key whose data-use agreement has ended' => { key => $key{ended} },
        'a wrong address' => { key => $key{elsewhere} },
        'no certificate' => { %mtls, key => $key{acme} },
        'an unknown certificate' => { %mtls, cert => 'nobody' },
        'a revoked certificate' => { %mtls, cert => 'former' },
        'a certificate of another authority' => { %mtls, cert => 'foreign' },
        'a key without its certificate' => { %both, key => $key{acme} },
        'a key with an unknown certificate' => { %both, key => $key{acme}, cert => 'nobody' },
        'a key with a revoked certificate' => { %both, key => $key{acme}, cert => 'former' },
        'a key with the certificate of another' => { %both, key => $key{acme}, cert => 'bolt' },
        'a token with the certificate of another' =>
            { %both, key => $token{acme}, cert => 'bolt' },
    );
}

# All that a request could change for acme.
sub state {
    my $it = $m->names('acme');
    return join "\n", (map { $t->ctl_ok(@$_) } [ qw(feed show), $it->{feed} ],
        [ qw(feed publishers), $it->{feed} ], [ qw(endpoint show), $it->{name} ],
        [ qw(partner show q7acme) ]),
        $m->ask('getCheckpoint', $with{own}, $it)->{body} =~ s/"lag.*//r;
}

# The operations that take a credential in the header or the handshake.
sub guarded { return grep { $RULE{ $ABOUT{$_} } } @ids }

sub failures {
    my ($name, @failures) = @_;
    is(scalar @failures, 0, $name) or diag(join "\n", splice @failures, 0, 10);
}

# The same bytes for every operation, whether what it names exists or not.
sub refused {
    for my $name (sort keys %REFUSED) {
        my ($status, $detail) = @{ $REFUSED{$name} };
        my $with = $with{$name};
        my (%seen, %head, @wrong);

        for my $id (guarded()) {
           
            for my $it ($m->names('acme'), $m->names(undef)) {
                my $answer = $m->ask($id, $with, $it);
                push @{ $seen{ $m->same($answer) } }, $answer->{asked};
                next if $m->method($id) ne 'GET';
                my $head = $m->ask($id, { %$with, method => 'HEAD' }, $it);
                push @wrong, "$head->{asked}: $head->{status} $head->{body}"
                    if $head->{status} != $status || length $head->{body};
            }
        }
        my ($one) = sort { @{ $seen{$b} } <=> @{ $seen{$a} } } keys %seen;
        failures("$name: one answer to all", @wrong,
            map { "@{ $seen{$_} }: $_" } grep { $_ ne $one } sort keys %seen);
        my ($body) = $one =~ /\n\n(.*)/s;
        my $problem = Test::Eventsync::json($body) // {};
        is($one =~ /^(\d+)/ ? $1 : '', $status, "$name: its status");
        like($problem->{detail} // $body, $detail, "$name: its reason");
        is_deeply([ $m->canaries($one) ], [], "$name: it names nobody");

        my $open = $name =~ /another authority/ ? $status : 200;
        failures("$name: what is open", grep { $_ !~ /^$open / } map {
            my $answer = $m->ask($_, $with, $m->names('acme'));
            "$answer->{status} $answer->{asked}" } grep { $ABOUT{$_} eq 'open' } @ids);
        in_the_body($name, $status, $detail) if ($with->{prefix} // '') ne '/mtls';
    }
}

# A token is asked for with the key in the body, and a session with a link.
sub in_the_body {
    my ($name, $status, $detail) = @_;
    my $with = $with{$name};
    my $link = $m->ask('createSession', $with, $m->names('acme'));
    is($link->{status}, 401, "$name: a link that is not known");
    return if $name =~ /token/;
    my $answer = $m->ask('createToken', $with, {});
    my $error = Test::Eventsync::json($answer->{body});
    is($answer->{status}, $status, "$name: no token");
    like($error->{error_description} // $error->{detail}, $name eq 'no key'
        ? qr/has no client credentials/ : $detail, "$name: why there is none");
}

# By what an operation is about.
sub rules {
    my %less = map { $_ => token($key{everything}, $_) } values %NEEDS;
    for my $column (0 .. $#COLUMNS) {
        my @variants = grep { /^$COLUMNS[$column]\b/ } sort keys %with;
        for my $name (@variants ? @variants : 'less') {
            my @wrong;
            for my $id (guarded()) {
                my $about = $ABOUT{$id};
                my $with = $with{$name} // { key => $less{ $NEEDS{$about} } };
                my $want = $RULE{$about}[$column];
                my $answer = $m->ask($id, $with, $m->names('acme'));
                my $nothing = $m->ask($id, $with, $m->names(undef));
                my @of = grep { $_ ne ($with->{by} // 'acme') }
                    $m->canaries($m->text($answer) =~ s/"feeds":\["feed-q7acme"\]//gr);
                push @wrong, "$answer->{asked}: $answer->{status}, not $want: $answer->{body}"
                    if $answer->{status} != $want;
                push @wrong, "$answer->{asked}: has something of @of" if @of;
                push @wrong, "$answer->{asked}: tells what exists"
                    if $want == 404 && $m->same($answer) ne $m->same($nothing);
            }
            failures("$name: by the rules", @wrong);
        }
    }
}

# Methods that a path does not have: the same for everybody and every name.
sub methods {
    my (%has, @wrong);
    push @{ $has{ $_->{path} } }, $_ for $api->operations;
    for my $path (sort keys %has) {
        my ($one) = @{ $has{$path} };
        for my $method (grep { my $x = $_; !grep { $_->{method} eq $x } @{ $has{$path} } }
            qw(GET PUT POST DELETE PATCH))
        {
            my %seen;
            for my $name ('no key', 'own', 'other key') {
                $seen{ $m->same($m->ask($one->{id},
                    { %{ $with{$name} }, method => $method }, $m->names($_))) }++
                    for 'acme', undef;
            }
            push @wrong, "$method $path: " . join ' ', sort keys %seen
                if keys %seen != 1 || (keys %seen)[0] !~ /^405\n/;
        }
    }
    failures('other methods are refused, whoever asks', @wrong);
}

# A partner with its own: success, and nothing of others.  What removes is last.
sub own {
    for my $name (sort { length $b <=> length $a } grep { /^own/ } keys %with) {
        my @wrong;
        for my $id (sort { ($m->method($a) eq 'DELETE') <=> ($m->method($b) eq 'DELETE') }
            grep { $m->method($_) eq 'GET' || $name eq 'own' } guarded())
        {
                my $admin = $ABOUT{$id} eq 'admin';
            my $answer = $m->ask($id, $admin ? { key => $key{operator}, by => 'operator' }
                : { %{ $with{$name} }, by => 'acme', headers => {
                    'accept-encoding' => 'gzip' } }, $m->names('acme'));
            push @wrong, "$answer->{asked}: $answer->{status} $answer->{body}"
                if $answer->{status} !~ /^2/ && !($id eq 'skipEvent' && $answer->{status} == 409);
            my $text = $m->text($answer);
            push @wrong, "$answer->{asked}: has a secret"
                if $text =~ /value-q7/ || index($text, $m->secret('acme')) >= 0;
            push @wrong, "$answer->{asked}: has something of bolt"
                if !$admin && grep { $_ eq 'bolt' } $m->canaries($text);
        }
        failures("$name: may do all", @wrong);
    }
}

# A cache in front that knows nothing of partners, and pages that are kept
# encoded.
sub caches {
    my $page = $m->names('acme');
    for my $encoding (qw(identity gzip)) {
        my %o = (port => $t->port(2), headers => { 'accept-encoding' => $encoding });
        is($m->ask('getPage', { %o, key => $key{acme} }, $page)->{status}, 200,
            "$encoding: its partner has the page") for 1, 2;
        for my $name ('other key', 'no key') {
            my $answer = $m->ask('getPage', { %{ $with{$name} }, %o }, $page);
            is_deeply([ $m->canaries($m->text($answer)) ], [], "$encoding: $name: nothing of it");
        }
        my $other = $m->ask('getPage', { %o, key => $key{bolt} }, $m->names('bolt'));
        is_deeply([ $m->canaries($m->text($other)) ], ['bolt'], "$encoding: each its own");
    }
    failures('the cache in front has nothing', glob $t->testdir . '/cache/*');
}

# Logs, metrics and webhooks.
sub written {
    my $metrics = $m->ask('getMetrics', { key => $key{operator} }, {})->{body};
    like($metrics, qr/partner="q7acme"/, 'the metrics have series of partners');
    failures('each metric has the names of one partner, and no more', grep {
        my $line = $_;
        $line =~ s/\b(?:feed="(?:feed|spare)-q7(?:acme|bolt)"|partner="q7(?:acme|bolt)")//g;
        $m->canaries($_) > 1 || $m->canaries($line) } split /\n/, $metrics);

    ok(wait_for(sub { 100 < grep { $_->{path} =~ /bolt/ } $recv->requests }, 30),
        'many webhooks');
    failures('a webhook has nothing of another partner', map { "$_->{path}: $_->{body}" }
        grep { my ($who) = $_->{path} =~ /q7(\w+)/;
            grep { $_ ne $who } $m->canaries("$_->{body} @{[ %{ $_->{headers} } ]}") }
        $recv->requests);

    my $dispatcher = $t->{dispatcher};
    $t->stop_dispatcher;
    $t->stop_nginx;
    my %log = (dispatcher => $dispatcher->stderr,
        map { $_ => $t->read_file("$_.log") } qw(error access json));
    for my $name (sort keys %log) {
        my @lines = split /\n/, $log{$name};
        cmp_ok(scalar @lines, '>', 100, "$name: a log");
        like($log{json}, qr{"partner":"q7acme".*/authorize".*"feed":"feed-q7acme"},
            'the log says who asked for what') if $name eq 'json';
        failures("$name: no secret and no data",
            grep { my $line = $_; grep { index($line, $_) >= 0 } $m->private } @lines);
        failures("$name: no line of one partner has another's", grep { mixed($name, $_) } @lines);
    }
}

# Names in the path of a request are the client's own words.
sub mixed {
    my ($name, $line) = @_;
    my ($by, $path);
    if ($name eq 'access') {
        ($by, $line, $path) = split /\|/, $line, 3;
    } elsif ($name eq 'json') {
        my $is = Test::Eventsync::json($line) or return 1;
        $path = delete $is->{path};
        $line = join ' ', map { $_ // '' } values %$is;
    } elsif ($name eq 'error') {
        $path = $1 if $line =~ s/, client: .*request: "([^"]*)".*//;
    }
    for my $said (grep { length > 3 } split m{[/ ?]}, $path // '') {
        $line =~ s/\Q$said\E//g;
    }
    my @of = $m->canaries($line);
    return @of > 1 || ($by && $by eq 'bolt' && grep { $_ ne 'bolt' } @of);
}
