#!/usr/bin/perl

# The OpenAPI document: that it is served, that it is sound, that it and the
# code say the same, and that all of it is so: each operation, parameter, body,
# header, status and media type is seen in an answer, and nothing else is.

use warnings;
use strict;

use JSON::PP;
use POSIX qw(strftime);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::OpenApi;

my $t = Test::Eventsync->new;
my $text = slurp('docs/openapi.json');
my $api = Test::Eventsync::OpenApi->new($text);
my $coder = JSON::PP->new->utf8->canonical->allow_nonref;

structure();
same_as_code();
judges();

my ($key, $manager, $reader, $writer, $admin, $epoch, $old, $name, $recv);
prepare();
served();
methods();
reading();
ranges();
pages();
publishing();
tokens();
catalogue();
checkpoints();
endpoints();
operating();
refused();
full();
broken();

# A hundred checkpoints of a feed do not fill a store.
is(join("\n", grep { $_ ne 'putCheckpoint: status 507' } $api->unseen), '',
    'all that is declared was seen');
is_deeply([ types_unseen() ], [], 'each type of problem, too');

done_testing();

###############################################################################

sub slurp {
    my ($name) = @_;
    open my $fh, '<:raw', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

sub structure {
    is_deeply([ $api->faults ], [], 'the document is sound');
    is($api->doc->{servers}[0]{url}, '.', 'and relative to where it is');
}

# From C to the document and back.
sub same_as_code {
    my $routes = slurp('ngx_module/ngx_http_eventsync_route.c');
    my (@code, @doc);

    while ($routes =~ /\{ ngx_string\("([^"]+)"\), [01],\s+\w+, ([\w|]+),/g) {
        my ($pattern, $methods) = ($1, $2);
        $methods =~ s/NGX_HTTP_EVENTSYNC_READ/NGX_HTTP_GET/;
        push @code, map { s/NGX_HTTP_//r . " $pattern" } split /\|/, $methods;
    }
    ok(@code > 10, 'routes are found in the code');
    push @doc, "$_->{method} " . ($_->{path} =~ s/\{\w+\}/*/gr)
        for $api->operations;
    is_deeply([ sort @doc ], [ sort @code ], 'operations are the routes');

    my %code;
    my $problems = slurp('ngx_module/ngx_http_eventsync_problem.c');
    while ($problems =~ /\{ (\d{3}), ngx_string\((.*?)\),\s+ngx_string/gs) {
        my ($status, $type) = ($1, $2);
        $type =~ s/NGX_HTTP_EVENTSYNC_URN/"urn:eventsync:problem:"/;
        push @{ $code{"Problem$status"} }, join '', $type =~ /"([^"]*)"/g;
    }
    ok(%code, 'problems are found in the code');
    my $schemas = $api->doc->{components}{schemas};
    is_deeply({ map { $_ => [ sort @{ $schemas->{$_}{properties}{type}{enum} } ] }
        grep { /^Problem/ } keys %$schemas },
        { map { $_ => [ sort @{ $code{$_} } ] } keys %code }, 'types of problems');

    my ($members) = slurp('shared/record.c') =~ /es_endpoint_members\[\] = \{(.*?)NULL/s;
    my ($operators) = slurp('shared/manage_view.c') =~ /es_operators\[\] = \{(.*?)\}/s;
    my %not = map { $_ => 1 } 'partner', $operators =~ /"(\w+)"/g;
    my @members = sort grep { !$not{$_} } $members =~ /"(\w+)"/g;
    is_deeply([ sort keys %{ $schemas->{$_}{properties} } ], \@members,
        "members of $_") for qw(NewEndpoint EndpointChange);

    my ($exposed) = slurp('ngx_module/ngx_http_eventsync_cors.c')
        =~ /ngx_http_eventsync_response_headers =(.*?);/s;
    my %exposed = map { $_ => 1 } join('', $exposed =~ /"([^"]*)"/g) =~ /[\w-]+/g;
    is_deeply([ grep { !$exposed{$_} && !/^(?:Cache-Control|Vary|Content-.*|CDN-.*
        |X-Accel-.*|Surrogate-Key|Pragma)$/x } sort keys %{ $api->doc->{components}{headers} } ],
        [], 'pages of other origins may see all headers that tell them something');
}

# The judge itself: what it would not notice, this test would not either.
sub judges {
    my %string = (type => 'string');
    my @cases = (
        [ \%string, '"a"', 0 ], [ \%string, '1', 1 ],
        [ { type => 'integer' }, '1', 0 ], [ { type => 'integer' }, '"1"', 1 ],
        [ { type => 'integer' }, '1.5', 1 ], [ { type => 'integer', minimum => 2 }, '1', 1 ],
        [ { type => [ 'string', 'null' ] }, 'null', 0 ],
        [ { type => 'boolean' }, 'true', 0 ], [ { type => 'boolean' }, '1', 1 ],
        [ { const => 1 }, '1', 0 ], [ { const => 1 }, '"1"', 1 ],
        [ { enum => [ 'a', undef ] }, 'null', 0 ], [ { enum => ['a'] }, '"b"', 1 ],
        [ { oneOf => [ \%string, { const => 'a' } ] }, '"a"', 1 ],
        [ { oneOf => [ \%string, { const => 1 } ] }, '1', 0 ],
        [ { type => 'array', items => \%string }, '["a",1]', 1 ],
        [ { type => 'array', minItems => 1 }, '[]', 1 ],
        [ { type => 'object', required => ['a'] }, '{}', 1 ],
        [ { type => 'object', properties => { a => \%string } }, '{"a":1}', 1 ],
        [ { type => 'object', properties => { a => \%string } }, '{"b":1}', 1 ],
        [ { properties => {}, additionalProperties => \%string }, '{"b":1}', 1 ],
        [ { properties => {}, additionalProperties => \%string }, '{"b":"1"}', 0 ],
        [ { '$ref' => '#/components/schemas/Cursor' }, '"k3f9-1"', 1 ],
        [ { '$ref' => '#/components/schemas/Cursor' }, '"k3f7-1"', 0 ],
    );
    is(scalar(() = $api->validate($_->[0], $coder->decode($_->[1]))), $_->[2],
        'judge: ' . $coder->encode($_->[0]) . " of $_->[1]") for @cases;
    is_deeply([ $api->judge({ status => 418, body => '' }, GET => '/feeds', {}) ],
        [ 'listFeeds: 418 is not declared: ' ], 'judge: another status');
    is_deeply([ $api->judge({ status => 204, headers => { 'x-new' => 1 }, body => '' },
        GET => '/feeds/a/authorize', {}) ],
        [ 'authorizeFeed: 204: header x-new is not declared' ], 'judge: another header');
    is_deeply([ $api->judge({ status => 204, headers => { 'content-type' => 'text/css' },
        body => '' }, GET => '/feeds/a/authorize', {}) ],
        [ "authorizeFeed: 204: media type 'text/css' is not declared" ],
        'judge: another media type');
    $api->{seen} = {};
}

###############################################################################
# a server of everything, and some on which everything fails

sub store_of {
    my ($name, $code) = @_;
    local $t->{store} = $t->testdir . "/$name";
    local $t->{partners} = {};
    $t->ctl_ok('init');
    return $code ? $code->($t->{store}) : undef;
}

sub prepare {
    my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds pages authorize
        backfill snapshot catalogue checkpoints endpoints openapi health metrics sse token);

    $t->store_init;
    $t->feed($_) for qw(orders paged trimmed secret);
    $key = $t->master_key;
    $manager = $t->partner_key('acme', feeds => 'orders', scopes => 'read,manage');
    $reader = $t->partner_key('acme', scopes => 'read');
    $writer = $t->partner_key('press', publish => 'orders', scopes => 'publish');
    $admin = $t->partner_key('ops', scopes => 'admin');

    # Its registry cannot be read.
    store_of('damaged', sub {
        my ($store) = @_;
        $t->partner_key('acme', feeds => '*');
        my $text = slurp("$store/registry/data.mdb");
        $text =~ s/\{"/["/g;
        $t->write_file('damaged/registry/data.mdb', $text);
    });

    # It has gone after its configuration was read.
    mkdir $t->testdir . '/gone';
    $t->write_file('gone/format', slurp($t->store . '/format'));

    # It is full very soon.
    store_of('tiny', sub {
        my $format = slurp("$_[0]/format");
        $format =~ s/^map_(initial|max) \d+$/map_$1 1048576/mg;
        $t->write_file('tiny/format', $format);
        $t->feed('orders');
        $t->{tiny} = $t->partner_key('acme', feeds => '*', publish => '*',
            scopes => 'read,publish,manage');
    });

    $t->write_file('keys', $coder->encode({ keys => [ { kty => 'oct', alg => 'HS256',
        kid => 'one', k => 'A' x 43 } ] }));
    chmod 0600, $t->testdir . '/keys';

    $t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    client_max_body_size 64k;
    eventsync_token_keys keys;
    eventsync_cache shared;
    eventsync_sse_max_time 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        eventsync_store %%STORE%%;
        location /v1/ {
            $all
            eventsync_max_event 4k;
            eventsync_limit poll rate=1000r/s burst=1000;
            eventsync_limit publish rate=1000r/s burst=1000;
        }
        location /other/prefix/ { eventsync_openapi on; }
        location /off/ { eventsync_poll on; }
        location /draft/ {
            $all
            eventsync_limit address rate=1r/d;
        }
        location /legacy/ {
            $all
            eventsync_limit address rate=1r/d;
            eventsync_ratelimit_headers legacy;
        }
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        eventsync_store %%TESTDIR%%/damaged;
        location /v1/ { $all }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        eventsync_store %%TESTDIR%%/gone;
        location /v1/ { $all }
    }
    server {
        listen 127.0.0.1:%%PORT_3%%;
        eventsync_store %%TESTDIR%%/tiny;
        location /v1/ { $all }
    }
}
CONF
    $t->run_nginx;

    $t->publish('orders', map { { id => "o$_", subject => "s$_", data => { n => $_ } } }
        1 .. 12);
    $t->publish('trimmed', map { { id => "t$_" } } 1 .. 9);
    $t->publish('paged', map { {} } 1 .. 105);
    ($epoch) = $t->poll('orders')->{next} =~ /^(.*)-12$/;
    ($old) = $t->poll('trimmed')->{next} =~ /^(.*)-9$/;
    $t->ctl_ok('feed', 'trim', 'trimmed', "--before=$old-5");
}

my %type_seen;

# A request that is to be answered so, and as the document says.  Options: key
# (undef: none), headers, body (a structure is encoded), port, prefix.
sub ask {
    my ($status, $method, $target, %opts) = @_;
    my $as = exists $opts{key} ? $opts{key} : $key;
    my %headers = (defined $as ? (authorization => "Bearer $as") : (),
        %{ $opts{headers} // {} });
    my $body = $opts{body};

    if (defined $body) {
        $body = $coder->encode($body) if ref $body;
        $headers{'content-type'} //= 'application/json';
    }
    my $answer = $t->http($method => ($opts{prefix} // '/v1') . $target, \%headers, $body,
        port => $t->port($opts{port} // 0));
    my $what = "$method " . substr($target, 0, 60);

    is($answer->{status}, $status, "$what: $status") or diag($answer->{body});
    $answer->{json} = Test::Eventsync::json($answer->{body});
    is_deeply([ $api->judge($answer, $method, $target, \%headers) ], [], "$what: as declared");
    my $kind = ref $answer->{json} eq 'HASH'
        ? $answer->{json}{type} // $answer->{json}{error} : undef;
    $type_seen{$kind}++ if $status >= 400 && defined $kind;
    takes($method, $target, \%headers, $body) if defined $body && $status < 300;
    return $answer;
}

# What is accepted is what the document says may be sent.
sub takes {
    my ($method, $target, $headers, $body) = @_;
    my $type = $headers->{'content-type'};
    my $schema = $api->operation($method, $target =~ s/\?.*//r)->{body};
    $schema = ($schema->{$type} // {})->{schema};

    return if !$schema || $type !~ m{^application/(?:\w+[+-])*json$|\+json$};
    is_deeply([ $api->validate($schema, $coder->decode($body)) ], [],
        "$method $target: and as it may be asked");
}

sub types_unseen {
    my $schemas = $api->doc->{components}{schemas};
    return grep { !$type_seen{$_} } sort @{ $schemas->{TokenError}{properties}{error}{enum} },
        map { @{ $_->{properties}{type}{enum} } }
        @{$schemas}{ grep { /^Problem/ } keys %$schemas };
}

# A path of the operation, its parameters filled in.
sub path_of {
    my ($operation, %with) = @_;
    my %value = (feed => 'orders', consumer => 'one', epoch => $epoch, n => 1, name => $name, type => 'one',
        version => '1.0.0', %with);
    return $operation->{path} =~ s/\{(\w+)\}/$value{$1}/gr;
}

###############################################################################

sub served {
    my $answer = ask(200, GET => '/openapi.json', key => undef);
    is($answer->{body}, $text, 'the document, as it is in the repository');
    is($answer->{headers}{'cache-control'}, 'public, max-age=3600', 'may be kept');
    like($answer->{headers}{etag}, qr/^"[0-9a-f]{16}"$/, 'has a strong ETag');

    my $etag = $answer->{headers}{etag};
    for my $match ($etag, "\"x\", W/$etag", '*') {
        my $again = ask(304, GET => '/openapi.json', key => undef,
            headers => { 'If-None-Match' => $match });
        is($again->{headers}{etag}, $etag, 'with its ETag');
    }
    is(ask(200, GET => '/openapi.json', headers => { 'If-None-Match' => '"x"' })->{body},
        $text, 'another ETag');
    ask(400, GET => '/openapi.json?v=1', key => undef);
    is($t->http(GET => '/other/prefix/openapi.json')->{body}, $text, 'under any prefix');
    is($t->http(GET => '/off/openapi.json')->{status}, 404, 'only where it is on');
}

# What is said of all operations and so declared for none.
sub methods {
    my %paths;
    push @{ $paths{ $_->{path} } }, $_->{method} for $api->operations;

    for my $path (sort keys %paths) {
        my %methods = map { $_ => 1 } @{ $paths{$path} }, 'OPTIONS';
        $methods{HEAD} = 1 if $methods{GET};
        my $target = '/v1' . $path =~ s/\{\w+\}/x/gr;

        my $options = $t->http(OPTIONS => $target);
        is($options->{status}, 204, "OPTIONS $path");
        is_deeply({ map { $_ => 1 } split /, /, $options->{headers}{allow} }, \%methods,
            "OPTIONS $path: what the document has");

        my ($other) = grep { !$methods{$_} } qw(PUT PATCH);
        my $answer = $t->http($other => $target);
        is($answer->{status}, 405, "$other $path");
        is_deeply([ $api->judge_response('405', $api->doc->{components}{responses}
            {MethodNotAllowed}, $answer) ], [], "$other $path: as declared");
        is($answer->{headers}{allow}, $options->{headers}{allow}, "$other $path: Allow");
        $type_seen{ Test::Eventsync::json($answer->{body})->{type} }++;
    }
}

sub reading {
    my $feeds = ask(200, GET => '/feeds')->{json}{feeds};
    is(@$feeds, 4, 'feeds');
    ask(200, GET => '/feeds/orders');

    my $events = '/feeds/orders/events';
    my $poll = ask(200, GET => "$events?after=$epoch-3&limit=2");
    is(@{ $poll->{json}{events} }, 2, 'a poll');
    ask(304, GET => "$events?after=$epoch-3&limit=2",
        headers => { 'If-None-Match' => $poll->{headers}{etag} });
    ask(200, GET => "$events?from=latest&wait=1");
    ask(200, GET => "$events?from=2020-01-01T00:00:00Z&types=test.*,other&subject=s4");
    ask(200, GET => "$events?limit=3", headers => { accept => 'application/x-ndjson' });
    ask(200, GET => $events, headers => { accept => 'application/cloudevents-batch+json' });
    my $stream = ask(200, GET => $events, headers => { accept => 'text/event-stream',
        'Last-Event-ID' => "$epoch-10" });
    like($stream->{body}, qr/^id: $epoch-12$/m, 'a stream');

    ask(204, GET => '/feeds/orders/authorize');
    ask(200, GET => '/feeds/orders/snapshot?tombstones=1');
    my $page = ask(200, GET => '/feeds/orders/snapshot?limit=1')->{json}{next};
    ask(200, GET => "/feeds/orders/snapshot?limit=1&page=$page");

    ask(400, GET => "$events?$_") for 'limit=0', 'after=x', "after=$epoch-99", 'wait=999';
    ask(410, GET => "/feeds/trimmed/events?after=$_") for "$old-1", 'abc-1';
    my $gone = ask(200, GET => '/feeds/trimmed/snapshot')->{json}{cursor};
    is($gone, "$old-9", 'a snapshot of nothing');
}

sub ranges {
    my ($from, $feed) = ("from=$epoch-2&to=$epoch-5", '/feeds/orders');

    my $all = ask(200, GET => "$feed/backfill?$from");
    is(scalar(() = $all->{body} =~ /\n/g), 4, 'three events, and what ends them');
    ask(200, GET => "$feed/backfill?after=$epoch-2&types=test.event&subject=s3");
    ask(200, GET => "$feed/manifest?$from");
    ask(200, GET => "$feed/manifest?after=$epoch-2");
    ask(410, GET => "/feeds/trimmed/$_?after=$old-1") for qw(backfill manifest);
}

sub pages {
    my ($of) = $t->poll('paged')->{next} =~ /^(.*)-/;
    my $path = "/feeds/paged/pages/$of";

    my $page = ask(200, GET => "$path/1");
    ask(200, GET => "$path/2", headers => { 'accept-encoding' => 'identity' });
    ask(200, GET => "$path/head");
    my $coded = $t->http(GET => "/v1$path/1", { authorization => "Bearer $key",
        'accept-encoding' => 'gzip' });
    is($coded->{headers}{'content-encoding'}, 'gzip', 'an encoding');
    $coded->{body} = $page->{body};
    is_deeply([ $api->judge($coded, GET => "$path/1", {}) ], [], 'as declared');
    ask(304, GET => "$path/1", headers => { 'If-None-Match' => $page->{headers}{etag} });
    ask(206, GET => "$path/1", headers => { Range => 'bytes=0-9' });
    ask(206, GET => "$path/1", headers => { Range => 'bytes=0-9,20-29' });
    ask(416, GET => "$path/1", headers => { Range => 'bytes=99999-' });
    ask(404, GET => "$path/99");
    ask(410, GET => '/feeds/orders/pages/abc/1');
}

sub publishing {
    my $events = '/feeds/orders/events';
    my $event = { specversion => '1.0', source => '/a', type => 'a', id => 'p1', data => [1] };
    my %ce = map { ("ce-$_" => "x-$_") } qw(id source type subject);

    ask(201, POST => $events, body => $event);
    ask(201, POST => $events, body => $event,
        headers => { 'content-type' => 'application/cloudevents+json' });
    ask(201, POST => $events, body => [ { %$event, id => 'p2' }, $event ],
        headers => { 'content-type' => 'application/cloudevents-batch+json' });
    ask(201, POST => $events, body => $t->event . "\n",
        headers => { 'content-type' => 'application/x-ndjson' });
    ask(201, POST => $events, body => 'bytes', headers => { %ce, 'ce-specversion' => '1.0',
        'ce-time' => '2026-01-01T00:00:00Z', 'ce-dataschema' => 'https://a.example/s',
        'content-type' => 'application/octet-stream', tracestate => 'a=b',
        traceparent => '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
    ask(200, GET => "$events?after=$epoch-12");

    ask(400, POST => $events, body => { %$event, id => '' });
    ask(409, POST => $events, body => { %$event, data => [2] });
    ask(413, POST => $events, body => { %$event, id => 'p3', data => 'x' x 5000 });
}

# By both ways of saying who asks, of which the form's is no header.
sub form_of {
    my ($with, $more) = @_;
    return (key => undef, body => 'grant_type=client_credentials&client_id='
        . substr($with, 4, 10) . "&client_secret=$with" . ($more // ''),
        headers => { 'content-type' => 'application/x-www-form-urlencoded' });
}

sub tokens {
    my $answer = ask(200, POST => '/token', form_of($key, '&scope=read+feed:orders'));
    is_deeply([ $api->validate($api->doc->{components}{schemas}{TokenRequest},
        { grant_type => 'client_credentials', scope => 'read', client_id => 'x',
        client_secret => 'x' }) ], [], 'and as it may be asked');
    ask(200, GET => '/feeds/orders/events', key => $answer->{json}{access_token});
    ask(400, POST => '/token', form_of($key, '&scope=admin'));
    ask(400, POST => '/token', form_of($key, '&scope=read&scope=read'));
    ask(400, POST => '/token', form_of($key, ''), body => 'grant_type=x&client_id='
        . substr($key, 4, 10) . "&client_secret=$key");
}

# A type that has a page of its own, and versions with and without dates.
sub catalogue {
    my $types = '/event-types';
    my ($integer, $any) = ('{"type":"integer"}', '{}');

    $t->ctl_ok({ stdin => $integer }, qw(type register one 1.0.0));
    $t->ctl_ok({ stdin => $any }, qw(type register one 2.0.0 --description=Any));
    $t->ctl_ok({ stdin => $any }, qw(type register two 1.0.0));
    $t->ctl_ok(qw(type deprecate one 1.0.0 --from=2026-01-01T00:00:00Z
        --sunset=2099-01-01T00:00:00Z));

    my $list = ask(200, GET => "$types?limit=1");
    is($list->{json}{next}, 'one', 'there are more');
    is(ask(200, GET => "$types?limit=1&after=one")->{json}{next}, undef, 'and no more');
    is(ask(200, GET => "$types/one/1.0.0")->{body}, $integer, 'a schema');
    for my $path ('', '/one', '/one/1.0.0') {
        my $etag = ask(200, GET => "$types$path")->{headers}{etag};
        ask(304, GET => "$types$path", headers => { 'If-None-Match' => $etag });
    }
    ask(400, GET => "$types?limit=0");
    ask(404, GET => "$types/one/1.0.1");

    $t->feed("judged-$_", schema => $_) for qw(warn enforce);
    my $event = { specversion => '1.0', source => '/a', type => 'one', id => 'j1',
        dataschema => 'https://a.example/one/1.0.0', data => 'x' };
    my $kept = ask(201, POST => '/feeds/judged-warn/events', body => $event);
    is($kept->{json}{results}[0]{warning}{pointer}, '/data', 'a warning');
    ask(422, POST => '/feeds/judged-enforce/events', body => $event);
}

sub checkpoints {
    my $path = '/feeds/orders/checkpoints/one';
    my $etag = ask(201, PUT => $path, body => { cursor => "$epoch-1" })->{headers}{etag};

    ask(200, GET => $path);
    ask(304, GET => $path, headers => { 'If-None-Match' => $etag });
    ask(200, GET => '/feeds/orders/checkpoints');
    ask(200, PUT => $path, body => { cursor => "$epoch-3" }, headers => { 'If-Match' => $etag });
    ask(200, PUT => $path, body => { cursor => "$epoch-2", rewind => JSON::PP::true });
    ask(409, PUT => $path, body => { cursor => "$epoch-1" });
    ask(410, PUT => $path, body => { cursor => 'zzzz-1' });
    ask(412, PUT => $path, body => { cursor => "$epoch-4" }, headers => { 'If-Match' => $etag });
    ask(412, PUT => $path, body => { cursor => "$epoch-4" },
        headers => { 'If-None-Match' => '*' });
    ask(412, DELETE => $path, headers => { 'If-Match' => $etag });
    ask(412, DELETE => $path, headers => { 'If-None-Match' => '*' });
    ask(204, DELETE => $path, headers => { 'If-Match' => '*' });
    ask(201, PUT => $path, body => { cursor => "$epoch-4" },
        headers => { 'If-None-Match' => '*' });
    ask(204, DELETE => $path, headers => { 'If-None-Match' => $etag });

    ask(201, PUT => "/feeds/orders/checkpoints/n$_", body => { cursor => "$epoch-1" })
        for 1 .. 2;
    $t->http(PUT => "/v1/feeds/orders/checkpoints/n$_", { authorization => "Bearer $key",
        'content-type' => 'application/json' }, $coder->encode({ cursor => "$epoch-1" }))
        for 3 .. 100;
    ask(409, PUT => $path, body => { cursor => "$epoch-1" });
    ask(204, DELETE => '/feeds/orders/checkpoints/n1');
}

###############################################################################

sub endpoints {
    my $list = '/endpoints';
    my $broken = $t->testdir . '/broken';
    $t->write_file('broken', '');
    $recv = $t->receiver(sub { return -e $broken ? 500 : 200 });
    my @as = (key => $manager);

    my $made = ask(201, POST => $list, @as, body => { url => $recv->url, feeds => ['orders'],
        types => [ 'test.*' ], ordering => 'none', start => 'oldest', in_flight => 4,
        connect_timeout => '1s', timeout => '20s', disable_after => '2d', rate => '9r/s',
        burst => 2, headers => { 'x-a' => '1' }, schedule => ['0'], paused => JSON::PP::true });
    $name = $made->{json}{name};
    my $path = "$list/$name";
    is($made->{headers}{location}, "/v1$path", 'where it is');
    ask(200, GET => $list, @as);
    ask(200, GET => "$list?limit=1&after=a", @as);
    my $etag = ask(200, GET => $path, @as)->{headers}{etag};
    ask(304, GET => $path, @as, headers => { 'If-None-Match' => $etag });
    ask(200, PATCH => $path, @as, body => { types => undef, headers => undef,
        in_flight => 2 }, headers => { 'If-Match' => $etag });
    ask(412, PATCH => $path, @as, body => { in_flight => 3 },
        headers => { 'If-Match' => $etag });
    ask(412, PATCH => $path, @as, body => {}, headers => { 'If-None-Match' => '*' });
    ask(412, DELETE => $path, @as, headers => { 'If-Match' => $etag });
    ask(412, DELETE => $path, @as, headers => { 'If-None-Match' => '*' });
    ask(200, PATCH => $path, @as, body => {}, headers => { 'If-None-Match' => $etag });
    ask(200, POST => "$path/pause", @as);
    ask(200, POST => "$path/rotate", @as);
    ask(200, POST => "$path/rotate", @as, body => { overlap => '0' });
    ask(200, POST => "$path/rotate", @as, body => { kind => 'v1a' });
    ask(200, POST => "$path/rotate", @as, body => { kind => 'v1a', overlap => '1h' });
    ask(200, GET => "$path/keys", @as);
    ask(200, POST => "$path/resume", @as);

    $t->run_dispatcher;
    ok(wait_for(sub { @{ dead(@as)->{dead_letters} } >= 12 }, 30), 'dead letters');
    for my $records (qw(dead-letters attempts)) {
        my $next = ask(200, GET => "$path/$records?limit=2", @as)->{json}{next};
        ask(200, GET => "$path/$records?limit=2&after=$next", @as);
    }
    ask(200, GET => "$path/status", @as);
    ask(200, PATCH => $path, @as, body => { schedule => [ '0', '1h' ], ordering => 'key' });
    ask(202, POST => "$path/replay", @as, body => { feed => 'orders', from => 'oldest' });
    ask(202, POST => "$path/replay", @as, body => { feed => 'orders', after => "$epoch-11" });
    my %kinds;
    ok(wait_for(sub {
        my $r = $t->http(GET => "/v1$path/status", { authorization => "Bearer $manager" });
        %kinds = map { $_->{kind} => 1 }
            @{ Test::Eventsync::json($r->{body})->{deliveries} };
        return $kinds{retry};
    }, 30), 'a retry');
    ask(200, GET => "$path/status", @as);
    unlink $broken;
    ask(202, POST => "$path/resend", @as, body => { feed => 'orders', cursor => "$epoch-1" });
    ask(202, POST => "$path/redrive", @as);
    ask(202, POST => "$path/test", @as, body => { type => 't', data => [1] });
    ask(202, POST => "$path/test", @as);
    ask(200, PATCH => $path, @as, body => { batch => 2, batch_wait => '1s', body => 'thin',
        nudge => 1000, ordering => 'none', ack => 'a', simulate => { failure => 'drop',
        until => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time() + 3600)) } });
    ask(200, POST => "$path/simulate", @as, body => { failure => 'status', status => 500,
        percent => 1, delay => '1s', for => '1m' });
    ok(wait_for(sub {
        my $r = $t->http(GET => "/v1$path/attempts", { authorization => "Bearer $manager" });
        return grep { $_->{kind} eq 'test' }
            @{ Test::Eventsync::json($r->{body})->{attempts} };
    }, 30), 'a test on record');
    ask(200, GET => "$path/attempts", @as);
    ask(200, POST => "$path/simulate", @as, body => { failure => 'none' });
    ask(400, POST => "$path/simulate", @as, body => { failure => 'x' });
    ask(400, POST => "$path/test", @as, body => { x => 1 });
    is($t->stop_dispatcher, 0, 'the dispatcher stops');

    ask(400, PATCH => $path, @as, body => { colour => 'red' });
    ask(400, POST => "$path/resend", @as, body => {});
    ask(200, POST => "$path/rotate", @as);
    ask(409, POST => "$path/rotate", @as);

    my $other = ask(201, POST => $list, @as, body => { url => $recv->url, feeds => ['orders'],
        secrets => [ $made->{json}{secret} ] });
    is($other->{json}{secret}, undef, "one's own secret is not shown");
    ask(204, DELETE => "$list/$other->{json}{name}", @as, headers => {
        'If-Match' => $other->{headers}{etag}, 'If-None-Match' => '"x"' });
}

sub dead {
    my (%opts) = @_;
    my $r = $t->http(GET => "/v1/endpoints/$name/dead-letters",
        { authorization => "Bearer $opts{key}" });
    return Test::Eventsync::json($r->{body});
}

sub operating {
    ask(200, GET => '/healthz', key => undef);
    ask(200, GET => '/healthz', key => undef, port => 2);
    ask(503, GET => '/readyz', key => undef, port => 1);
    my $dispatcher = $t->run_dispatcher;
    ok(wait_for(sub { $dispatcher->stderr =~ /info: eventsync-dispatcher/
        && $t->http(GET => '/v1/readyz')->{status} == 200 }, 30),
        'with a dispatcher it is ready');
    ask(200, GET => '/readyz', key => undef);
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    ask(200, GET => '/metrics', key => $admin);
}

# Each status that many operations have, wherever it is declared.
sub refused {
    for my $operation ($api->operations) {
        my ($method, $path) = ($operation->{method}, path_of($operation));
        my ($tag) = @{ $operation->{op}{tags} };
        my $has = sub { $operation->{responses}{ $_[0] } };
        my @as = (key => $tag eq 'endpoints' ? $manager : $tag eq 'operate' ? $admin : $key);
        my $authorize = $operation->{id} eq 'authorizeFeed';

        ask(400, $method => "$path?nonsense=1", @as);
        next unless $has->(401);

        ask(401, $method => $path, key => undef);
        ask(403, $method => $authorize ? path_of($operation, feed => 'secret') : $path,
            key => $tag eq 'publish' ? $reader : $authorize ? $reader : $writer)
            if $has->(403);
        ask(404, $method => path_of($operation, feed => 'none', name => 'ep_none', type => 'none'),
            @as, $operation->{id} eq 'publishEvents' ? (body => $t->event)
            : $operation->{id} eq 'putCheckpoint' ? (body => { cursor => "$epoch-1" }) : ())
            if $has->(404);
        ask(406, $method => $path, @as, headers => $operation->{id} eq 'getPage'
            ? { 'accept-encoding' => 'identity;q=0, *;q=0' } : { accept => 'text/csv' })
            if $has->(406);
        ask(413, $method => $path, @as, body => 'x' x 70000) if $has->(413);
        ask(415, $method => $path, @as, body => '{}', headers =>
            { 'content-type' => 'text/plain' }) if $has->(415);
        is_head($path, @as) if $method eq 'GET';
    }
    ask(410, GET => '/feeds/trimmed/snapshot?page=' . trimmed_page());

    for my $prefix ('/draft', '/legacy') {
        $t->http(GET => "$prefix/feeds");
        ask(429, $_->{method} => path_of($_), prefix => $prefix)
            for grep { $_->{responses}{429} } $api->operations;
    }
}

# A snapshot's page that retention overtakes.
sub trimmed_page {
    $t->feed('states');
    $t->publish('states', map { { id => "x$_", subject => "x$_" } } 1 .. 4);
    my $first = $t->json_get('/v1/feeds/states/snapshot?limit=1', $key);
    $t->publish('states', map { { id => "y$_", subject => "y$_" } } 1 .. 4);
    $t->ctl_ok('feed', 'trim', 'states', '--before=' . $first->{cursor} =~ s/-4$/-8/r);
    $t->publish('trimmed', map { { id => "u$_", subject => "u$_" } } 1 .. 4);
    my $page = $t->json_get('/v1/feeds/trimmed/snapshot?limit=1', $key);
    $t->publish('trimmed', map { { id => "v$_" } } 1 .. 4);
    $t->ctl_ok('feed', 'trim', 'trimmed', "--before=$old-16");
    return $page->{next};
}

sub is_head {
    my ($path, %opts) = @_;
    my @answers = map { $t->http($_ => "/v1$path", { authorization => "Bearer $opts{key}" }) }
        qw(GET HEAD);

    is($answers[1]{status}, $answers[0]{status}, "HEAD $path");
    my @names = map { my %h = %{ $_->{headers} };
        delete @h{qw(transfer-encoding content-length)}; [ sort keys %h ] } @answers;
    is_deeply($names[1], $names[0], "HEAD $path: the same headers");
}

###############################################################################

sub full {
    my @tiny = (port => 3, key => $t->{tiny});
    my $events = '/feeds/orders/events';
    my $filled;

    for my $i (1 .. 200) {
        $filled = $t->http(POST => "/v1$events", { authorization => "Bearer $t->{tiny}",
            'content-type' => 'application/json' }, $t->event(data => 'x' x 20000),
            port => $t->port(3))->{status} != 201;
        last if $filled;
    }
    ok($filled, 'a full log');
    ask(507, POST => $events, @tiny, body => $t->event(data => 'x' x 20000));

    my $made = ask(201, POST => '/endpoints', @tiny, body => { url => 'https://a.example/',
        feeds => ['orders'] })->{json}{name};
    my $large = { url => 'https://a.example/', feeds => ['orders'],
        types => [ map { "$_-" . 'x' x 200 } 1 .. 32 ] };
    $filled = 0;
    for my $i (1 .. 400) {
        $filled = $t->http(POST => '/v1/endpoints', { authorization => "Bearer $t->{tiny}",
            'content-type' => 'application/json' }, $coder->encode($large),
            port => $t->port(3))->{status} != 201;
        last if $filled;
    }
    ok($filled, 'a full registry');
    ask(507, POST => '/endpoints', @tiny, body => $large);
    ask(507, PATCH => "/endpoints/$made", @tiny, body => { types => $large->{types} });
}

# 500 and 503, of everything that declares them.
sub broken {
    for my $case ([ 500, 1 ], [ 503, 2 ]) {
        my ($status, $port) = @$case;
        ask($status, $_->{method} => path_of($_),
            $_->{id} eq 'createToken' ? form_of($key) : (), port => $port)
            for grep { $_->{responses}{$status} } $api->operations;
    }
}
