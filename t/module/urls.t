#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A resource has one URL: the prefix of its location and a pattern of the route
# table.  So a rule of nginx for a path holds, however a client spells it, and
# no byte of a path reaches an answer as it came.  The table is read from the
# source, so that a new route is tested as soon as it is there.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my $source = do {
    open my $fh, '<', 'ngx_module/ngx_http_eventsync_route.c' or die "$!\n";
    local $/;
    <$fh>;
};

my (@routes, %methods, %feed);
while ($source =~ /\{\ ngx_string\("([^"]+)"\),\ ([01]),\ NGX_HTTP_(\w+),/gx) {
    push @routes, $1 unless $methods{$1};
    push @{ $methods{$1} }, $3 eq 'EVENTSYNC_READ' ? 'GET' : $3;
    $feed{$1} = $2;
}
cmp_ok(scalar @routes, '>', 30, 'routes were read');

# The path of a route with names for its segments.
sub path {
    my ($route) = @_;
    my @names = $feed{$route} ? ('orders', 'abc', '1') : ('abc', '1');
    return $route =~ s/\*/shift @names/ger;
}

my @paths = map { path($_) } @routes;
my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds backfill
    snapshot catalogue checkpoints endpoints pages authorize openapi health
    metrics token status operator);
my $denied = join "\n", map { "location = /v1$_ { deny all; }" } @paths;
my $odd = qq(/a"> %?#\xc3\xa9b);
my $encoded = $odd =~ s/([^a-z\/])/sprintf '%%%02x', ord $1/ger;

$t->store_init;
$t->feed('orders');
$t->write_file('token.json', '{"keys":[{"kty":"oct","alg":"HS256","kid":"a",'
    . '"k":"' . 'MTEx' x 11 . '"}]}');
chmod 0600, $t->testdir . '/token.json';
$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_token_keys token.json;
    eventsync_ready_dispatcher off;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_max_body_size 1k;
        location /v1/ { $all }
        location = /v1/inside { internal; return 200 "inside"; }
        location /bare { $all }
        location ^~ /caret/ { $all }
        location /outer/ {
            $all
            location /outer/inner/ { eventsync_poll_limit 5 6; }
            location /outer/feeds/prices/ { eventsync_poll_limit 3 4; }
        }
        location /nested/ {
            $all
            location ~ /events\$ { eventsync_poll_limit 7 8; }
        }
        location /feed/feeds/orders/ { $all }
        location /some/fee { $all }
        location /late/endpoints/feeds/ { $all }
        location = /exact/feeds/orders/events { $all }
        location = /exact/healthz { $all }
        location ~ ^/re(gex)+/ { eventsync_prefix /regex; $all }
        location /renamed/ {
            $all
            rewrite ^/renamed(/.*)\$ /other\$1 break;
            eventsync_prefix /other/;
            location /renamed/feeds/prices/ {
                rewrite ^/renamed(/.*)\$ /other\$1 break;
            }
        }
        location /astray/ {
            $all
            rewrite ^/astray(/.*)\$ /v1\$1 break;
        }
        location /again/ { rewrite ^/again(/.*)\$ /v1\$1 last; }
        location /try/ { try_files /nothing \@named; }
        location \@named { eventsync_prefix /try; $all }
        location /gone/ { error_page 410 = \@gone; return 410; }
        location \@gone { eventsync_prefix /gone; $all }
        location /page/ { error_page 410 = /v1/healthz; return 410; }
        location /whole/ {
            $all
            if (\$arg_never) { set \$nothing 1; }
            limit_except GET { deny all; }
        }
        location '$odd/' { $all }
        location / { return 404; }
        location = /asks-other {
            auth_request /_other;
            try_files /nothing \@empty;
        }
        location \@empty { return 204; }
        location = /_other {
            internal;
            rewrite ^ /v1/feeds/orders/authorize break;
            eventsync_prefix /v1;
            eventsync_authorize on;
        }
        location = /checked {
            auth_request /v1/feeds/orders/authorize;
            try_files /nothing \@empty;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        $denied
        location /v1/ { $all }
        location / { return 404; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        merge_slashes off;
        $denied
        location / { $all }
        location /v1/ { $all }
    }
}
CONF

my $key = $t->partner_key('acme', feeds => 'orders,prices',
    publish => 'orders', scopes => 'read,publish,manage,admin');
my $other = $t->partner_key('other', feeds => 'none', scopes => 'read');
$t->feed('prices');
$t->run_nginx;
is($t->publish('orders', { id => 'o1' })->{status}, 201, 'an event');

sub request {
    my ($method, $url, %more) = @_;
    my $r = $t->http($method => $url, { authorization => 'Bearer '
            . ($more{key} // $key), %{ $more{headers} // {} } },
        $more{body} // ($method =~ /^P/ ? '' : undef),
        port => $t->port($more{port} // 0));
    $r->{json} = Test::Eventsync::json($r->{body}) // {};
    return $r;
}

sub get { return request(GET => @_) }

# Whether the answer says that there is no resource at all.
sub nothing {
    my ($r) = @_;
    return $r->{status} == 404
        && ($r->{json}{detail} // '') eq 'The resource does not exist.';
}

###############################################################################
# prefixes

# Each resource is at the prefix, and answers there as in /v1/.
for my $prefix ('', '/bare', '/caret', '/outer', '/outer/inner', '/nested',
    '/regex', '/renamed', '/try', '/gone', '/again', '/whole', $encoded)
{
    my @faults;
    my $port = $prefix eq '' ? 2 : 0;

    for (@routes) {
        my $path = path($_);
        my $r = get($prefix . $path, port => $port);
        my $as = get("/v1$path");
        push @faults, "$prefix$path: $r->{status}, not $as->{status}"
            if $r->{status} != $as->{status} || nothing($r) != nothing($as);
        next if $prefix eq '/again';

        for ("$prefix/x$path", "$prefix$path/", "$prefix$path/x/x/x/x",
            length $prefix ? "${prefix}x$path" : ())
        {
            $r = get($_, port => $port);
            push @faults, "$_: $r->{status}" unless $r->{status} == 404;
        }
    }

    is_deeply(\@faults, [], "resources are at '$prefix' and nowhere else");
}

sub limit_of { return get("$_[0]?limit=9999")->{json}{maximum} }

my $events = '/feeds/orders/events';
ok(nothing(get("/regexgex$events")), 'a regular expression may match more');
ok(nothing(get("/bare$_")), "/bare$_ is nothing")
    for '', '/', 'feeds', 'x/feeds';
ok(nothing(get('/v1/')), 'nor is the prefix alone');
ok(nothing(get('/v1/feeds/')), 'nor a name without a byte');
ok(nothing(get('/v1/Feeds')), 'nor another case');
is(get('/V1/feeds')->{status}, 404, '... of the prefix');
is(limit_of("/nested$events"), 8,
    'a regular expression in a location has the prefix of that');
ok(nothing(get("/nested/inner$events")), '... and no other');
is(limit_of("/outer/inner$events"), 6, 'a nested location has its own');
is(limit_of('/outer/feeds/prices/events'), 4,
    'a location of one feed has the prefix of all');
is(get('/renamed/feeds/prices/events')->{status}, 200,
    'eventsync_prefix is inherited');
ok(nothing(get("/astray$events")),
    'without it, a URI that rewrite took out of its location is nothing');
is(get('/feed/feeds/orders/events')->{status}, 200,
    'a prefix ends before a resource');
ok(nothing(get("/feed/feeds/orders$events")), '... and begins no other');
ok(nothing(get('/some/feeds')), 'but no part of a name is one');
is(get('/late/endpoints/feeds/')->{status}, 404, 'the first resource counts');
is(get('/exact/feeds/orders/events')->{status}, 200, 'an exact location');
is(get('/exact/healthz')->{status}, 200, 'and another one');
is(get('/exact/feeds/orders')->{status}, 404, '... is exact');
is(get('/page/x')->{status}, 200, 'error_page may lead to a resource');
is(get('/page/x')->{json}{status}, 'ok', '... of this module');

is(request(POST => "/whole$events", body => '{}')->{status}, 403,
    'limit_except holds');

my $made = request(POST => "$encoded/endpoints",
    headers => { 'content-type' => 'application/json' },
    body => '{"url":"https://a.example/","feeds":["orders"]}');
is($made->{status}, 201, 'an endpoint below an odd prefix');
is($made->{headers}{location} =~ s/ep_[a-z2-7]+$//r,
    '/a%22%3E%20%25%3F%23%C3%A9b/endpoints/', '... has a Location to match');
is(get($made->{headers}{location})->{json}{name}, $made->{json}{name},
    '... that leads to it');

# subrequests

for (qw(/checked /asks-other)) {
    is(get($_)->{status}, 204, "$_: authorized");
    is(get($_, key => $other)->{status}, 403, "$_: not authorized");
    is(get($_, key => 'esk_none')->{status}, 401, "$_: not authenticated");
}
is(get('/_other')->{status}, 404, 'and internal');

###############################################################################
# 413, which nginx redirects

my $large = 'x' x 2000;
for my $url ('/v1/inside%3F', '/v1/inside%3f/endpoints', "/v1$events%3Fx",
    "/v1$events", '/v1/inside%3F%3Fx')
{
    my $r = request(POST => $url, body => $large);
    is($r->{status}, 413, "$url: too large");
    like($r->{json}{type}, qr/:too-large$/, '... is the problem');
}
is(get('/v1/inside')->{status}, 404, 'an internal location');

###############################################################################
# every spelling of every URL

# What nginx makes of a path.
sub normal {
    my ($url, $merge) = @_;
    my $path = $url =~ s{^https?://[^/]*}{}r =~ s/\?.*//r;
    $path =~ s/%([0-9a-f]{2})/chr hex $1/gie;
    $path =~ s{//+}{/}g if $merge;

    my @out;
    my @in = split m{/}, $path, -1;
    shift @in;
    for my $i (0 .. $#in) {
        if ($in[$i] eq '..') { @out or return 'above'; pop @out }
        elsif ($in[$i] ne '.') { push @out, $in[$i]; next }
        push @out, '' if $i == $#in;
    }
    return '/' . join '/', @out;
}

sub spellings {
    my ($path) = @_;
    my @all = ("http://localhost$path", "/x/..$path", "/..$path",
        "$path?x=/../..", '/V1' . substr($path, 3), uc $path);

    while ($path =~ m{/}g) {
        my $at = pos $path;
        my ($head, $tail) = (substr($path, 0, $at), substr $path, $at);
        my $back = $head =~ m{([^/]+/)$} ? $1 : '';

        push @all, map { "$head$_$tail" } 'x/', 'feeds/', '/', './', 'x/../',
            '%2e/', 'x/%2e%2e/', '%2F', '%5c', '..;/', '...//', '%00/',
            '%0d%0aX-Injected:%20yes%0d%0a/', 'zq%22%3ezq/', 'zq">zq/',
            $back ? (".%2E/$back", "%2f..%2f$back") : ();
        push @all, $head =~ s{/$}{%2f}r . $tail if $back;
        push @all, $head . sprintf('%%%02x', ord $tail) . substr $tail, 1;
    }

    return @all, map { "$path$_" } '/', '//', '/.', '/x/..', '%2f', ';x',
        '.json',
        '%20', '%20HTTP/1.1', '%0d%0aX-Injected:%20yes', '%0a', '%00', '%7f',
        'zq%22zq', 'zq">zq', '%3e', '%3fx', '?', '%23', '%c0%af',
        '%ff', '%2e', '.',
        '/%2e%2e', '/%2e%2e/' . ($path =~ m{([^/]+)$})[0];
}

my %denied = map { ("/v1$_" => 1) } @paths;
my $routes = join '|', map { s/\./\\./gr =~ s/\*/[^\/]+/gr } @routes;

for my $port (1, 2) {
    my (@faults, %seen);
    my ($asked, $held) = (0, 0);

    for my $route (@routes) {
        my $path = '/v1' . path($route);
        my @spellings = grep { !$seen{$_}++ } spellings($path);

        for my $method (@{ $methods{$route} }) {
            for my $url ($path, @spellings) {
                my $is = normal($url, $port == 1);
                my $r = request($method => $url, port => $port);
                my $where = "$method $url ($is): ";
                $asked++;

                my $fault = bytes_fault($r);
                push @faults, "$where$fault" if $fault;

                if ($url =~ /%00/ || $is eq 'above') {
                    push @faults, "$where$r->{status}, not 400"
                        unless $r->{status} == 400;

                } elsif ($denied{$is}) {
                    $held++;
                    push @faults, "$where$r->{status}, not 403"
                        unless $r->{status} == 403;

                } elsif ($is =~ /[\0-\x1f\x7f]/) {
                    push @faults, "$where$r->{status}, not 400"
                        unless $r->{status} == 400
                        || $is !~ m{^/v1/} && $r->{status} == 404;

                } elsif ($is =~ m{^/v1(?:$routes)\z}
                    || $port == 2 && $is =~ m{^(?:$routes)\z})
                {
                    # a file of another name is not there
                    push @faults, "$where$r->{status}, which is nothing"
                        if !$r->{status}
                        || nothing($r) && $is !~ m{/dashboard/};

                } else {
                    push @faults, "$where$r->{status}, not 404"
                        unless nothing($r)
                        || $is !~ m{^/v1/} && $r->{status} == 404;
                }
            }
        }
    }

    cmp_ok($asked, '>', 3000, 'spellings were sent');
    cmp_ok($held, '>', 500, '... of which many are a path with a rule');
    is_deeply(\@faults, [],
        $port == 1 ? 'a rule for a path holds for every spelling'
        : 'also where slashes are not merged');
}

# What is wrong with the bytes of an answer.
sub bytes_fault {
    my ($r) = @_;
    my ($line, @head) = split /\r\n/, $r->{head};

    return 'no answer' unless $r->{status};
    return "the status line $line" unless $line =~ m{^HTTP/1\.1 \d\d\d [ -~]+$};
    return 'a line of its own' if grep { /^X-Injected/i } @head;
    return "the header $_" for grep { !/^[A-Za-z0-9-]+: [ -~]*$/ } @head;
    return "a byte as it came in $_" for grep { /zq["<>\\ ]/ } @head;
    return "the status $r->{status}" if $r->{status} >= 500;
    return;
}

SKIP: {
    skip 'a sanitizer writes into the error log, too', 1 if $t->sanitized;
    unlike($t->read_file('error.log'), qr/^(?!\d{4}\/)./m,
        'each line of the error log begins as such');
}

done_testing();
