#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Links to the dashboard: how they are made, redeemed once, listed and revoked,
# and what is told of each that cannot be redeemed.

use warnings;
use strict;

use JSON::PP;
use Test::More;
use Time::Local qw(timegm);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $json = JSON::PP->new->canonical;
my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed('prices');
$t->partner('acme', feeds => 'prices');
$t->partner('poor', feeds => 'prices', quota_keys => 1);
$t->partner('gone', feeds => 'prices');
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            eventsync_dashboard on;
            eventsync_status on;
            eventsync_endpoints on;
            eventsync_poll on;
        }
        location /look/ { eventsync_dashboard on; eventsync_status on; }
        location /strict/ {
            eventsync_dashboard on;
            eventsync_endpoints on;
            eventsync_limit address rate=1r/d burst=3;
        }
    }
}
CONF
$t->run_nginx;

my @url = '--url=https://events.example/v1';

made();
redeemed();
once();
refused();
ended();
bodies();
limited();
listed();

done_testing();

###############################################################################

# The secret of a new link.
sub link_of {
    my ($partner, @options) = @_;
    my $url = $t->ctl_ok('dashboard', 'link', $partner, @url, @options);
    my ($secret) = $url =~ m{\Ahttps://events\.example/v1/dashboard#link/(esl_[a-z2-7]{10}_[a-z2-7]{38})\n\z}
        or die "no link: $url\n";
    return $secret;
}

sub id { return substr $_[0], 4, 10 }

sub start {
    my ($body, $prefix) = @_;
    return $t->http_start(POST => ($prefix // '/v1') . '/dashboard/session',
        { 'content-type' => 'application/json' },
        ref $body ? $json->encode($body) : $body);
}

sub redeem { return $t->http_end(start({ link => $_[0] }, $_[1])) }
sub problem { return ($json->decode($_[0]{body})->{type} // '') =~ s/^urn:eventsync:problem://r }

sub get {
    return $t->http(GET => "/v1/$_[1]", { authorization => "Bearer $_[0]" })->{status};
}

sub refuses {
    my ($secret, $status, $type, $detail, $name) = @_;
    my $answer = redeem($secret);
    is($answer->{status}, $status, "$name: $status");
    is($answer->{headers}{'content-type'}, 'application/problem+json', "$name: a problem");
    is($answer->{headers}{'cache-control'}, 'no-store', "$name: not to be kept");
    is(problem($answer), $type, "$name: $type");
    like($json->decode($answer->{body})->{detail}, $detail, "$name: why");
}

sub usage {
    my ($like, $name, @options) = @_;
    my ($code, undef, $err) = $t->ctl('dashboard', 'link', @options);
    is($code, 2, "$name is refused");
    like($err, $like, 'with a reason');
}

sub made {
    usage(qr/"--url" is needed/, 'a link without an address', 'acme');
    usage(qr/"--url" .*query/, 'an address with a query', 'acme', '--url=https://a.example/?x');
    usage(qr/"--url" /, 'no URL', 'acme', '--url=events.example');
    usage(qr/"--for" must be a time from 1s to 7d/, "a time of \"$_\"", 'acme', @url,
        "--for=$_") for qw(0 8d never);

    my ($code, undef, $err) = $t->ctl('dashboard', 'link', 'acme', @url, '--scopes=fly');
    is($code, 1, 'a scope that no key has is refused');
    like($err, qr{/scopes/0}, 'by its place');
    ($code, undef, $err) = $t->ctl('dashboard', 'link', 'acme', @url, '--scopes=read,publish');
    is($code, 1, 'so is a link that publishes');
    like($err, qr{/scopes: a link to the dashboard cannot publish}, 'with a reason');
    ($code, undef, $err) = $t->ctl('dashboard', 'link', 'nobody', @url);
    is($code, 1, 'an unknown partner is');
    like($err, qr/no partner "nobody"/, 'by its name');

    local $ENV{EVENTSYNC_URL} = 'https://events.example/v1/';
    like($t->ctl_ok('dashboard', 'link', 'acme'),
        qr{\Ahttps://events\.example/v1/dashboard#link/esl_}, 'EVENTSYNC_URL is the default');

    link_of('poor');
    ($code, undef, $err) = $t->ctl('dashboard', 'link', 'poor', @url);
    is($code, 1, 'a link counts for the quota of keys');
    like($err, qr/its quota is 1/, 'which it names');

    my $made = $json->decode($t->ctl_ok('dashboard', 'link', 'acme', @url, '--json'));
    my ($secret) = $made->{url} =~ /#link\/(esl_\S+)/;
    is(id($secret), $made->{name}, '--json has the record, and the url');
    my $stored = '';
    for my $file (glob $t->store . '/registry/*') {
        open my $fh, '<:raw', $file or die "$file: $!\n";
        $stored .= do { local $/; <$fh> };
    }
    like($stored, qr/$made->{link}/, 'the store has the digest of its secret');
    unlike($stored, qr/${\ substr $secret, 15 }/, 'and not the secret');
}

sub redeemed {
    my $secret = link_of('acme');
    my $page = $t->http(GET => '/v1/dashboard/session');
    is($page->{status}, 405, 'a GET redeems nothing');
    like($page->{headers}{allow}, qr/\APOST\b/, 'and says what does');
    is(get($secret, 'status'), 401, 'a link is no key');
    is(get($secret =~ s/^esl/esk/r, 'status'), 401, 'whatever it begins with');

    my $answer = redeem($secret);
    is($answer->{status}, 200, 'a POST redeems it');
    is($answer->{headers}{'cache-control'}, 'no-store', 'for the moment');
    my $body = $json->decode($answer->{body});
    is_deeply([ sort keys %$body ], [qw(access_token expires_in scope token_type)], 'its members');
    is_deeply([ @$body{qw(token_type expires_in scope)} ], [ 'Bearer', 3600, 'read' ],
        'of an hour, for reading');
    is(get($body->{access_token}, 'status'), 200, 'the token reads');
    is(get($body->{access_token}, 'endpoints'), 403, 'and does no more');
    isnt($t->http(GET => '/v1/status?access_token=' . $body->{access_token})->{status}, 200,
        'it works in a header only');

    my $wide = $json->decode(redeem(link_of('acme', '--scopes=read,ack,manage,admin'))->{body});
    is($wide->{scope}, 'read ack manage admin', '--scopes gives more');
    is(get($wide->{access_token}, 'endpoints'), 200, 'which the token may');

    my ($line) = grep { $_->{name} eq id($secret) } map { $json->decode($_) }
        split /\n/, $t->ctl_ok('key', 'list', '--json');
    my ($y, $mon, @rest) = $line->{expires} =~ /(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)/;
    my $left = timegm(reverse(@rest), $mon - 1, $y) - time;
    ok($left > 3000 && $left <= 3601, 'the key ends within the hour') or diag($line->{expires});
    refuses($secret, 410, 'link-used', qr/opened already/, 'a used link');
    $t->ctl_ok('dashboard', 'revoke', id($secret));
    ok(wait_for(sub { get($body->{access_token}, 'status') == 401 }, 20),
        'a revoked link ends its session');
    refuses($secret, 410, 'link-revoked', qr/revoked/, 'and is told so');
}

# Requests at the same time, to both workers.
sub once {
    for my $round (1 .. 5) {
        my $secret = link_of('acme');
        my @calls = map { start({ link => $secret }) } 1 .. 8;
        my %seen;
        $seen{$_->{status}}++ for map { $t->http_end($_) } @calls;
        is_deeply(\%seen, { 200 => 1, 410 => 7 }, "of eight at once, one redeems it, $round");
    }
}

sub refused {
    my $secret = link_of('acme');
    my $wrong = substr($secret, 0, 20) . ($secret =~ /^.{20}a/ ? 'b' : 'a') . substr $secret, 21;
    refuses($wrong, 401, 'unauthorized', qr/incomplete/, 'a mistyped link');
    refuses(substr($secret, 0, -1), 401, 'unauthorized', qr/incomplete/, 'a cut link');
    refuses('', 401, 'unauthorized', qr/incomplete/, 'no link');
    refuses("${secret}a", 401, 'unauthorized', qr/incomplete/, 'a longer one');
    like(redeem($wrong)->{headers}{'www-authenticate'}, qr/\ABearer /, 'with a challenge');

    my $key = $t->partner_key('acme', scopes => 'read');
    refuses($key, 401, 'unauthorized', qr/incomplete/, 'a key');
    refuses($key =~ s/^esk/esl/r, 401, 'unauthorized', qr/incomplete/, 'a key in disguise');

    my $removed = link_of('acme');
    $t->ctl_ok('key', 'remove', id($removed));
    refuses($removed, 401, 'unauthorized', qr/removed/, 'a removed link');

    my $looked = redeem($secret, '/look');
    is($looked->{status}, 404, 'a location without endpoints redeems none');
    like($json->decode($looked->{body})->{detail}, qr/lacks "eventsync_endpoints"/, 'and says why');
    is(redeem($secret)->{status}, 200, 'after all that, the link works');
}

sub ended {
    my $short = link_of('acme', '--for=1s');
    ok(wait_for(sub {
        (grep { /^${\ id($short) } .* state=expired / } split /\n/,
            $t->ctl_ok('dashboard', 'links')) > 0;
    }, 20), 'a link expires');
    refuses($short, 410, 'link-expired', qr/expired/, 'which is told');

    my $revoked = link_of('acme');
    like($t->ctl_ok('dashboard', 'revoke', id($revoked), '--json'), qr/"revoked"/, 'a link is revoked');
    refuses($revoked, 410, 'link-revoked', qr/revoked/, 'a revoked link');

    my $disabled = link_of('gone');
    $t->ctl_ok('partner', 'change', 'gone', '--disabled');
    refuses($disabled, 410, 'link-revoked', qr/revoked/, 'that of a disabled partner');
    $t->ctl_ok('partner', 'change', 'gone', '--enabled');
    is(redeem($disabled)->{status}, 200, 'which works when the partner does again');
}

sub bodies {
    for (['text', 'nothing'], ['an array', '[]'], ['no member', {}], ['a number', { link => 1 }],
        ['one member more', { link => 'x', more => 1 }], ['one twice', '{"link":"a","link":"b"}'])
    {
        my ($name, $body) = @$_;
        my $answer = $t->http_end(start($body));
        is($answer->{status}, 400, "$name is no body");
        is(problem($answer), 'invalid-body', 'which it says');
    }
    my $answer = $t->http_end(start({ link => 1 }));
    is($json->decode($answer->{body})->{pointer}, '/link', 'with the place');
    is($t->http(POST => '/v1/dashboard/session?link=x', {}, '')->{status}, 400,
        'no secret stands in a query');
    is($t->http(POST => '/v1/dashboard/session', { 'content-type' => 'text/plain' }, '{}')
        ->{status}, 415, 'the body is JSON');
}

# As failed authentications are.
sub limited {
    is(redeem('esl_wrong', '/strict')->{status}, 401, 'a guess') for 1 .. 3;
    my $answer = redeem('esl_wrong', '/strict');
    is($answer->{status}, 429, 'and another one is too many');
    ok($answer->{headers}{'retry-after'} > 0, 'until a time');
    is(redeem(link_of('acme'), '/strict')->{status}, 429, 'even with a good link');
}

sub listed {
    my %link = map { $_ => link_of('acme', '--for=1h') } qw(waits used revoked);
    redeem($link{used});
    $t->ctl_ok('dashboard', 'revoke', id($link{revoked}));
    my %seen = map { my $l = $json->decode($_); $l->{name} => $l }
        split /\n/, $t->ctl_ok('dashboard', 'links', 'acme', '--json');
    is($seen{ id($link{$_}) }{state}, $_, "a link that is $_ is listed") for sort keys %link;
    is_deeply([ sort keys %{ $seen{ id($link{waits}) } } ],
        [qw(created expires name partner scopes state)], 'with its members, and no digest');
    ok((grep { $_->{state} eq 'expired' } values %seen), 'so is an expired one');
    is_deeply([ grep { $_->{partner} ne 'acme' } values %seen ], [], 'and none of others');
    like($t->ctl_ok('dashboard', 'links'), qr/^[a-z2-7]{10} partner=poor scopes=\["read"\] state=/m,
        'all are, without a partner');
    my ($code, undef, $err) = $t->ctl('dashboard', 'links', 'nobody');
    is($code, 1, 'an unknown partner is refused');
    my ($key) = id($t->partner_key('acme', scopes => 'read'));
    for ($key, 'aaaaaaaaaa') {
        ($code, undef, $err) = $t->ctl('dashboard', 'revoke', $_);
        is($code, 1, 'what is no link is not revoked as one');
        like($err, qr/there is no link "$_"/, 'by its name');
    }
}
