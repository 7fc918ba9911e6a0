#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The OpenAPI document: that it is sound, that it and the code say the same,
# and that its judge, whom t/docs/openapi.t asks of each answer, sees what is wrong.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync::Members qw(endpoint_members);
use Test::Eventsync::OpenApi;

my $api = Test::Eventsync::OpenApi->new(slurp('docs/openapi.json'));
my $coder = JSON::PP->new->utf8->canonical->allow_nonref;

structure();
same_as_code();
same_parameters();
judges();
judges_headers();
judges_documents();

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

    while ($routes =~ /\{ ngx_string\("([^"]+)"\), [01], ([\w|]+),/g) {
        my ($pattern, $methods) = ($1, $2);
        next if $pattern =~ m{^/dashboard(?:/\*)?$};    # for people
        $methods =~ s/NGX_HTTP_EVENTSYNC_READ/NGX_HTTP_GET/;
        push @code, map { s/NGX_HTTP_//r . " $pattern" } split /\|/, $methods;
    }
    ok(@code > 10, 'routes are found in the code');
    push @doc, "$_->{method} " . ($_->{path} =~ s/\{\w+\}/*/gr)
        for $api->operations;
    is_deeply([ sort @doc ], [ sort @code ], 'operations are the routes');

    my %code;
    my $problems = slurp('ngx_module/ngx_http_eventsync_problem.c');
    while ($problems =~ /\{\s+(\d{3}), ngx_string\((.*?)\),\s+ngx_string/gs) {
        my ($status, $type) = ($1, $2);
        $type =~ s/NGX_HTTP_EVENTSYNC_URN/"urn:eventsync:problem:"/;
        push @{ $code{"Problem$status"} }, join '', $type =~ /"([^"]*)"/g;
    }
    ok(%code, 'problems are found in the code');
    my $schemas = $api->doc->{components}{schemas};
    is_deeply({ map { $_ => [ sort @{ $schemas->{$_}{properties}{type}{enum} } ] }
        grep { /^Problem/ } keys %$schemas },
        { map { $_ => [ sort @{ $code{$_} } ] } keys %code }, 'types of problems');

    same_members();

    my ($exposed) = slurp('ngx_module/ngx_http_eventsync_cors.c')
        =~ /ngx_http_eventsync_response_headers =(.*?);/s;
    my %exposed = map { $_ => 1 } join('', $exposed =~ /"([^"]*)"/g) =~ /[\w-]+/g;
    is_deeply([ grep { !$exposed{$_} && !/^(?:Cache-Control|Vary|Content-.*|CDN-.*
        |X-Accel-.*|Surrogate-Key|Pragma)$/x } sort keys %{ $api->doc->{components}{headers} } ],
        [], 'pages of other origins may see all headers that tell them something');
}

# The table of an endpoint's members, and what a partner sees and sets of them.
sub same_members {
    my $schemas = $api->doc->{components}{schemas};
    my @table = grep { $_->{access} eq 'public' } endpoint_members();
    my @names = sort map { $_->{name} } @table;

    for my $schema (qw(NewEndpoint EndpointChange Endpoint)) {
        my %members = $api->members($schemas->{$schema});
        delete @members{qw(name revision created left verification certificates)}
            if $schema eq 'Endpoint';
        is_deeply([ sort keys %members ], \@names, "members of $schema");
    }
    is_deeply($schemas->{NewEndpoint}{required},
        [ map { $_->{name} } grep { $_->{required} } @table ],
        'members that a new endpoint needs');

    my %members = $api->members($schemas->{NewEndpoint});
    my %types = (text => 'string', duration => 'string', number => 'integer',
        bool => 'boolean', list => 'array', object => 'object');
    my @other = map {
        my $type = type($members{ $_->{name} });
        $type eq $types{ $_->{type} } ? () : "$_->{name}: $type";
    } @table;
    is_deeply(\@other, [], 'and types of members');
    is_deeply([ map { [ @{ $members{ $_->{name} } }{qw(minimum maximum)} ] }
        grep { $_->{type} eq 'number' } @table ],
        [ map { [ 0 + $_->{min}, 0 + $_->{max} ] }
        grep { $_->{type} eq 'number' } @table ], 'and bounds of numbers');
}

# The type of a schema's values but for null.
sub type {
    my ($schema) = @_;

    $schema = $api->resolve($schema);
    return type($schema->{oneOf}[0]) if $schema->{oneOf};
    my $type = $schema->{type} // 'string';
    return ref $type ? join ' ', grep { $_ ne 'null' } @$type : $type;
}

# A route names a set of parameters, which has their names in a table.
sub same_parameters {
    my $routes = slurp('ngx_module/ngx_http_eventsync_route.c');
    my $header = join '', map { slurp($_) } glob 'ngx_module/*.h';
    my %name = slurp('ngx_module/ngx_http_eventsync_args.c')
        =~ /\[NGX_HTTP_EVENTSYNC_ARG_(\w+)\] =\s+\{ \.name = ngx_string\("([\w-]+)"\)/g;
    my @filter = slurp('shared/event/filter.c') =~ /^    \{ "(\w+)", es_filter_\w+ \}/mg;
    is_deeply([ map { $name{$_} }
        grep { $header =~ /_ARGS_FILTER [^#]*?_ARG_$_\b/ } sort keys %name ],
        [ sort @filter ], 'the set of a filter has its parameters');
    my %set = $header =~ /^#define NGX_HTTP_EVENTSYNC_ARGS_(\w+)\s+((?:.*\\\n)*.*)$/mg;
    my %steps = $routes
        =~ /ngx_http_eventsync_(\w+)_steps =\s*\{\s*\w+,\s+NGX_HTTP_EVENTSYNC_ARGS_(\w+),/g;
    my (%args, %seen);

    while ($routes =~ /\{\ ngx_string\("([^"]+)"\),\ [01],\ NGX_HTTP_(\w+),\s+
        &ngx_http_eventsync_(\w+)_steps/gx)
    {
        my ($pattern, $method, $set) = ($1, $2, $steps{$3});
        $method =~ s/EVENTSYNC_READ/GET/;
        my $text = $set{$set} // die "no set $set\n";
        1 while $text =~ s/\bNGX_HTTP_EVENTSYNC_ARGS_(\w+)/$set{$1} \/\/ ''/e;
        $args{"$method $pattern"} = [ map { $seen{$_} = 1; $name{$_} // die "no name of $_\n" }
            $text =~ /NGX_HTTP_EVENTSYNC_ARG_(\w+)/g ];
    }

    for my $operation ($api->operations) {
        my $route = "$operation->{method} " . ($operation->{path} =~ s/\{\w+\}/*/gr);
        is_deeply([ sort map { $_->{in} eq 'query' ? $_->{name} : () }
            @{ $operation->{params} } ], [ sort @{ $args{$route} } ],
            "$operation->{id}: parameters");
    }
    is_deeply([ sort keys %seen ], [ sort keys %name ], 'no parameter is of no route');

    my $calls = () = join('', map { slurp($_) } glob 'ngx_module/*.c')
        =~ /\bngx_http_eventsync_query\(ctx,/g;
    is($calls, 2, 'and nothing else reads the query');
}

# The judge itself: what it would not notice, this test would not either.
sub judges {
    my %string = (type => 'string');
    my %lines = (%string, contentMediaType => 'application/x-ndjson',
        contentSchema => { type => 'array', items => { type => 'integer' } });
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
        [ { type => 'array', maxItems => 1 }, '[1,2]', 1 ],
        [ { minLength => 2 }, '"a"', 1 ], [ { minLength => 2 }, '"ab"', 0 ],
        [ { maxLength => 2 }, '"abc"', 1 ], [ { pattern => '^a' }, '"ba"', 1 ],
        [ { maxProperties => 1 }, '{"a":1,"b":1}', 1 ],
        [ { maxProperties => 1 }, '{"a":1}', 0 ],
        [ { maximum => 2 }, '3', 1 ],
        [ \%lines, '"1\\n2\\n"', 0 ], [ \%lines, '"1\\na\\n"', 1 ],
        [ \%lines, '"1\\n\\"a\\"\\n"', 1 ], [ \%lines, '"1\\n2"', 1 ],
        [ { type => 'object', required => ['a'] }, '{}', 1 ],
        [ { type => 'object', properties => { a => \%string } }, '{"a":1}', 1 ],
        [ { type => 'object', properties => { a => \%string } }, '{"b":1}', 1 ],
        [ { properties => {}, additionalProperties => \%string }, '{"b":1}', 1 ],
        [ { properties => {}, additionalProperties => \%string }, '{"b":"1"}', 0 ],
        [ { properties => { a => {} }, allOf => [ { properties => { b => {} } } ] },
            '{"a":1,"b":1}', 0 ],
        [ { properties => { a => {} }, allOf => [ { properties => { b => {} } } ] },
            '{"c":1}', 1 ],
        [ { allOf => [ { properties => { a => {} } }, { required => ['a'] } ],
            unevaluatedProperties => JSON::PP::false }, '{"b":1}', 2 ],
        [ { allOf => [ { properties => { a => {} } },
            { additionalProperties => \%string } ] }, '{"a":1}', 1 ],
        [ { '$ref' => '#/components/schemas/Cursor' }, '"k3f9-1"', 1 ],
        [ { '$ref' => '#/components/schemas/Cursor' }, '"k3f7-1"', 0 ],
    );
    is(scalar(() = $api->validate($_->[0], $coder->decode($_->[1]))), $_->[2],
        'judge: ' . $coder->encode($_->[0]) . " of $_->[1]") for @cases;
    is_deeply([ $api->judge({ status => 418, body => '' }, GET => '/feeds', {}) ],
        [ 'listFeeds: 418 is not declared: ' ], 'judge: another status');
    is_deeply([ $api->judge({ status => 204, headers =>
        { 'x-new' => 1, 'cache-control' => 'no-store' }, body => '' },
        GET => '/feeds/a/authorize', {}) ],
        [ 'authorizeFeed: 204: header x-new is not declared' ], 'judge: another header');
    is_deeply([ $api->judge({ status => 204, headers =>
        { 'content-type' => 'text/css', 'cache-control' => 'no-store' }, body => '' }, GET => '/feeds/a/authorize', {}) ],
        [ "authorizeFeed: 204: media type 'text/css' is not declared" ],
        'judge: another media type');
}

# Headers by what declares them: those of one status are not those of another.
sub judges_headers {
    my $answer = { status => 429, body => '{}',
        headers => { 'content-type' => 'application/problem+json' } };
    my @faults = $api->judge($answer, GET => '/feeds', {});
    is(scalar(grep { /has no header Retry-After/ } @faults), 1,
        'judge: a header that is required');
    is(scalar(grep { /has no header RateLimit/ } @faults), 0,
        'judge: and one that is not');

    my $seen = sub {
        my %unseen = map { $_ => 1 } $api->unseen;
        return join ' ', map { $unseen{$_} ? 0 : 1 } @_;
    };
    $api->{seen} = {};
    $answer->{headers}{'retry-after'} = '5';
    $api->judge($answer, GET => '/feeds', {});
    is($seen->('TooManyRequests: header Retry-After',
        'Unavailable: header Retry-After'), '1 0',
        'judge: what a 429 has is not what a 503 has');

    $api->judge({ status => 200, body => '{}', headers => { etag => '"x"',
        'content-type' => 'application/json' } }, GET => '/openapi.json', {});
    is($seen->('getOpenapi 200: header ETag', 'getOpenapi 304: header ETag'),
        '1 0', 'judge: nor what a 200 has what a 304 has');
}

# A schema that says more than the judge knows.
sub judges_documents {
    my $doc = $coder->decode(slurp('docs/openapi.json'));
    $doc->{components}{schemas}{Cursor}{multipleOf} = 2;
    $doc->{components}{headers}{ETag}{schema}{format} = 'etag';
    my $other = Test::Eventsync::OpenApi->new($coder->encode($doc));

    is(scalar(grep { /does not know (?:multipleOf|format)$/ } $other->faults), 2,
        'judge: a keyword that it does not know');
    ok(!eval { $other->validate({ multipleOf => 2 }, 3); 1 },
        'judge: which it does not pass over');
}
