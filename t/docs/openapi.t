#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The OpenAPI document in use: that it is served, and that all of it is so: each
# operation, parameter, body, header, status and media type is seen in an
# answer, and nothing else is.  t/docs/openapi_document.t reads it beside the code.

use warnings;
use strict;

use JSON::PP;
use POSIX qw(strftime);
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Asker;
use Test::Eventsync::OpenApi;

my $t = Test::Eventsync->new;
my $text = slurp('docs/openapi.json');
my $api = Test::Eventsync::OpenApi->new($text);
my $asker = Test::Eventsync::Asker->new($t, $api);
my $coder = JSON::PP->new->utf8->canonical->allow_nonref;

my ($key, $manager, $reader, $writer, $admin, $elsewhere, $lost, $lost_link, $epoch, $old, $name,
    $recv);
prepare();
served();
methods();
reading();
ranges();
pages();
publishing();
tokens();
sessions();
field_lists();
catalogue();
checkpoints();
endpoints();
operating();
refused();
legacy();
waiting();
limited();
untaken();
full();
broken();

# A hundred checkpoints of a feed do not fill a store, nor does a link that is
# redeemed; and what breaks, or is
# changed, between the quota and the answer is not to be had at will.
my %not = map { $_ => 1 } 'putCheckpoint: status 507', 'createSession: status 507';
is(join("\n", grep { !$not{$_} && !/^(?:InternalError|Unavailable|Mismatch|StoreFull)
    :\ header\ X?-?RateLimit/x } $api->unseen), '',
    'all that is declared was seen');
types_seen();

done_testing();

###############################################################################

sub slurp {
    my ($name) = @_;
    open my $fh, '<:raw', $name or die "$name: $!\n";
    local $/;
    return <$fh>;
}

###############################################################################
# a server of everything, and some on which everything fails

sub store_of {
    my ($name, $code) = @_;
    local $t->{store} = $t->testdir . "/$name";
    local $t->{partners} = {};
    $t->store_init;
    return $code ? $code->($t->{store}) : undef;
}

sub prepare {
    my $all = join ' ', map { "eventsync_$_ on;" } qw(poll publish feeds pages authorize
        backfill snapshot catalogue checkpoints endpoints status operator openapi health metrics
        sse token dashboard);

    $t->store_init;
    $t->feed($_) for qw(orders paged trimmed secret);
    $key = $t->master_key;
    $manager = $t->partner_key('acme', feeds => 'orders', scopes => 'read,ack,manage');
    $reader = $t->partner_key('acme', scopes => 'read');
    $writer = $t->partner_key('press', publish => 'orders', scopes => 'publish');
    $admin = $t->partner_key('ops', scopes => 'admin');
    $elsewhere = $t->partner_key('elsewhere', feeds => '*', publish => '*',
        scopes => 'read,publish,ack,manage,admin');
    $t->ctl_ok(qw(partner change elsewhere --allow-from=192.0.2.1));

    # The records of this key and its partner cannot be read.
    store_of('damaged', sub {
        my ($store) = @_;
        $lost = $t->partner_key('acme', feeds => '*');
        $lost_link = link_of();
        my $text = slurp("$store/registry/data.mdb");
        $text =~ s/\{"/["/g;
        $t->write_file('damaged/registry/data.mdb', $text);
    });

    # It has gone after its configuration was read.
    mkdir $t->testdir . '/gone';
    $t->write_file('gone/format', slurp($t->store . '/format'));

    # An event of it was erased.
    $t->write_file('secrets', encode_base64('k' x 32));
    chmod 0600, $t->testdir . '/secrets';
    store_of('erased', sub {
        my @keys = '--key-file=' . $t->testdir . '/secrets';
        $t->feed('orders');
        $t->{erased} = $t->partner_key('acme', feeds => '*', publish => '*',
            scopes => 'publish');
        $t->ctl_ok({ stdin => $t->event(id => 'gone', source => '/gone', subject => 'gone') },
            'publish', 'orders');
        $t->ctl_ok('erase', '--subject=gone', '--expect=1', @keys);
    });

    # It is full very soon.
    store_of('tiny', sub {
        my $format = slurp("$_[0]/format");
        $format =~ s/^map_(initial|max) \d+$/map_$1 1048576/mg;
        $t->write_file('tiny/format', $format);
        $t->feed('orders');
        $t->{tiny} = $t->partner_key('acme', feeds => '*', publish => '*',
            quota_endpoints => 1000, quota_bytes => '1g',
            scopes => 'read,publish,ack,manage');
    });

    $t->write_file('keys', $coder->encode({ keys => [ { kty => 'oct', alg => 'HS256',
        kid => 'one', k => 'A' x 43 } ] }));
    chmod 0600, $t->testdir . '/keys';

    $t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_token_keys keys;
    client_max_body_size 64k;
    eventsync_cache shared;
    eventsync_sse_max_time 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        eventsync_store %%STORE%%;
        location /v1/ {
            $all
            eventsync_max_event 60k;
            eventsync_limit poll rate=1000r/s burst=1000;
            eventsync_limit manage rate=1000r/s burst=1000;
            eventsync_limit publish rate=1000r/s burst=1000;
        }
        location /other/prefix/ { eventsync_openapi on; }
        location /off/ { eventsync_poll on; }
        location /look/ { eventsync_dashboard on; }
        location /old/ {
            $all
            eventsync_limit poll rate=1000r/s burst=1000;
            eventsync_limit manage rate=1000r/s burst=1000;
            eventsync_limit publish rate=1000r/s burst=1000;
            eventsync_limit backfill rate=1g/s;
            eventsync_ratelimit_headers legacy;
        }
        location /quota/ {
            $all
            eventsync_limit poll rate=1r/d;
            eventsync_limit publish rate=1r/d;
            eventsync_limit manage rate=1r/d;
        }
        location /waits/ {
            $all
            eventsync_limit waits max=1;
        }
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
        listen 127.0.0.1:%%PORT_4%%;
        eventsync_store %%TESTDIR%%/erased;
        eventsync_key_file %%TESTDIR%%/secrets;
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

# A request that is to be answered so, and as the document says; by the key of
# whoever may read and publish all, unless another is given.
sub ask {
    my ($status, $method, $target, %opts) = @_;
    return $asker->ask($status, $method, $target, key => $key, %opts);
}

# Each type of problem, by whom it is to be had: one that is alone with its
# status by all that declare that, of others by those named.
sub types_seen {
    my @cursors = qw(pollEvents backfillEvents getManifest putCheckpoint);
    my %by = (
        'invalid-parameter' => [ map { $_->{id} } $api->operations ],
        'invalid-cursor' => \@cursors,
        'cursor-ahead' => \@cursors,
        'invalid-body' => [ qw(putCheckpoint createEndpoint changeEndpoint rotateSecret
            replayEvents resendEvent sendTestEvent simulateFailure skipEvent cancelEvents
            discardDeadLetters createSession) ],
        'invalid-event' => ['publishEvents'], conflict => ['publishEvents'],
        erased => ['publishEvents'],
        'in-use' => ['rotateSecret'], 'not-standing' => ['skipEvent'],
        'count-mismatch' => [ qw(cancelEvents discardDeadLetters) ],
        unverified => ['sendTestEvent'], 'checkpoint-behind' => ['putCheckpoint'],
        'too-many' => [ qw(putCheckpoint createEndpoint changeEndpoint rotateSecret
            simulateFailure) ],
        'invalid-header' => [ grep { $_ } map { $_->{responses}{415} && $_->{id} }
            $api->operations ],
        'digest-mismatch' => [ grep { $_ && $_ ne 'createToken' }
            map { $_->{responses}{415} && $_->{id} } $api->operations ],
        'cursor-expired' => [ @cursors, qw(getSnapshot getPage) ],
        'feed-reset' => [ @cursors, qw(getSnapshot getPage) ],
        'field-list' => [ qw(pollEvents backfillEvents getManifest getSnapshot getPage
            getFeed) ],
        map { ("link-$_" => ['createSession']) } qw(used expired revoked),
    );
    my $schemas = $api->doc->{components}{schemas};
    for my $schema (map { $schemas->{$_} } grep { /^Problem/ } sort keys %$schemas) {
        my $status = $schema->{properties}{status}{const};
        for my $name (map { s/.*[:#]//r } @{ $schema->{properties}{type}{enum} }) {
            my @by = @{ $by{$name} // [ map { $_->{id} }
                grep { $_->{responses}{$status} } $api->operations ] };
            @by = grep { !$not{"$_: status $status"} } @by;
            @by = grep { $status != 401 || $_ ne 'createToken' } @by;
            @by = grep { $status != 503 || $_ ne 'getReadiness' } @by;
            is_deeply([ $asker->types($name) ], [ sort @by ],
                "$name: where it can be") if $status != 405;
        }
    }
    is_deeply([ $asker->types($_) ], ['createToken'], "$_: of a token")
        for @{ $schemas->{TokenError}{properties}{error}{enum} };
    # t/module/room.t meets the bound of "answers": it needs clients that read nothing
    is_deeply([ $asker->policies ], [ sort grep { $_ ne 'answers' } @{ $schemas->{Problem429}{properties}
        {'violated-policies'}{items}{enum} } ], 'each policy has refused');
}

# A path of the operation, its parameters filled in.
sub path_of {
    my ($operation, %with) = @_;
    my %value = (feed => 'orders', consumer => 'one', epoch => $epoch, n => 1, name => $name, type => 'one',
        version => '1.0.0', partner => 'acme', %with);
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

# The answer to a method that a path does not have.
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
        is_deeply([ $api->judge_response('MethodNotAllowed', $api->doc->{components}{responses}
            {MethodNotAllowed}, $answer) ], [], "$other $path: as declared");
        is($answer->{headers}{allow}, $options->{headers}{allow}, "$other $path: Allow");
    }
}

sub reading {
    my $feeds = ask(200, GET => '/feeds')->{json}{feeds};
    is(@$feeds, 4, 'feeds');
    ask(200, GET => '/feeds/orders');

    my $events = '/feeds/orders/events';
    my $poll = ask(200, GET => "$events?after=$epoch-3&limit=2");
    is(@{ $poll->{json}{events} }, 2, 'a poll');
    ask(200, GET => $events, headers => { Prefer => 'figures=none' });
    ask(304, GET => "$events?after=$epoch-3&limit=2",
        headers => { 'If-None-Match' => $poll->{headers}{etag} });
    ask(200, GET => "$events?from=latest&wait=1");
    ask(200, GET => "$events?from=2020-01-01T00:00:00Z&types=test.*,other&subject=s4");
    ask(200, GET => "$events?limit=3", headers => { accept => 'application/x-ndjson' });
    ask(200, GET => $events, headers => { accept => 'application/cloudevents-batch+json' });
    my $stream = ask(200, GET => $events, headers => { accept => 'text/event-stream',
        'Last-Event-ID' => "$epoch-10" });
    like($stream->{body}, qr/^id: $epoch-12$/m, 'a stream');
    ask(200, GET => "$events?$_=abc-10", headers => { accept => 'text/event-stream' })
        for qw(lastEventId Last-Event-ID);

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
    for my $what (qw(backfill manifest)) {
        ask(410, GET => "/feeds/trimmed/$what?after=$_") for "$old-1", 'abc-1';
        ask(400, GET => "$feed/$what?after=$_") for 'x', "$epoch-99";
    }
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

    # one that a thread makes first, which is charged
    $t->feed('large');
    for my $prefix ('/v1', '/old') {
        $t->publish('large', { data => 'x' x 50000 }) for 1 .. 12;
        my ($its) = $t->poll('large')->{next} =~ /^(.*)-/;
        ask(304, GET => "/feeds/large/pages/$its/head", prefix => $prefix,
            headers => { 'If-None-Match' => '*' });
    }
    ask(206, GET => "$path/1", headers => { Range => 'bytes=0-9' });
    ask(206, GET => "$path/1", headers => { Range => 'bytes=0-9',
        'Accept-Encoding' => 'gzip' });
    ask(206, GET => "$path/1", headers => { Range => 'bytes=0-9,20-29' });
    ask(416, GET => "$path/1", headers => { Range => 'bytes=99999-' });
    ask(404, GET => "$path/99");
    ask(410, GET => '/feeds/orders/pages/abc/1');
    ask(410, GET => "/feeds/trimmed/pages/$old/1");
    ask(410, GET => '/feeds/trimmed/snapshot?page=' . reset_page());
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

    for my $prefix ('/v1', '/old') {
        my @lenient = (prefix => $prefix, headers => {
            'content-type' => 'application/x-ndjson', prefer => 'handling=lenient' });
        ask(201, POST => $events, body => $t->event . "\n{\n", @lenient);
        ask(200, POST => $events, body => "{\n", @lenient);
    }

    ask(400, POST => $events, body => { %$event, id => '' });
    ask(409, POST => $events, body => { %$event, data => [2] });
    ask(409, POST => $events, body => { %$event, id => 'gone', source => '/gone' },
        port => 4, key => $t->{erased});
    ask(413, POST => $events, body => { %$event, id => 'p3', data => 'x' x 63000 });
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
    ask(400, POST => '/token', prefix => '/old', form_of($key, '&scope=admin'));
}

# The secret of a link to the dashboard.
sub link_of {
    return $t->ctl_ok(qw(dashboard link acme --url=https://a.example), @_) =~ s{.*#link/|\n}{}gr;
}

sub sessions {
    my @post = (POST => '/dashboard/session', key => undef);
    my %link = map { $_ => link_of() } qw(used revoked);
    $link{expired} = link_of('--for=1s');

    my $answer = ask(200, @post, body => { link => $link{used} });
    ask(200, GET => '/status', key => $answer->{json}{access_token});
    $t->ctl_ok('dashboard', 'revoke', substr $link{revoked}, 4, 10);
    ok(wait_for(sub { $t->ctl_ok('dashboard', 'links', 'acme') =~ / state=expired / }, 30),
        'a link expires');
    is(ask(410, @post, body => { link => $link{$_} })->{json}{type},
        "urn:eventsync:problem:link-$_", "a link that is $_") for sort keys %link;
    ask(400, @post, body => { link => 1 });
    ask(401, @post, body => { link => 'esl_x' });
    my $link = link_of();
    $t->ctl_ok(qw(partner change acme --allow-from=192.0.2.1));
    ask(403, @post, body => { link => $link });
    $t->ctl_ok(qw(partner change acme --allow-from=any));
    ask(404, @post, body => { link => $link }, prefix => '/look');
    ask(413, @post, body => 'x' x 70000);
    ask(415, @post, body => '{}', headers => { 'content-type' => 'text/plain' });
    ask(415, @post, body => '{}', headers => { 'Content-Encoding' => 'zip' });
    ask(400, @post, body => '{}', headers => { 'content-range' => 'bytes 0-1/2' });
    ask(400, @post, body => '{}', headers => {
        'Content-Digest' => 'sha-256=:' . 'A' x 43 . '=:' });
}

# Lists that cannot be read.
sub field_lists {
    my $blurred = $t->partner_key('blurred', feeds => '*');
    my $record = $t->ctl_ok(qw(partner show blurred)) =~ s/\{/{"fields":[],/r;
    is(system($t->build . '/helper/damage', $t->store . '/registry', 'objects',
        'pblurred', $record), 0, 'a damaged record');
    $t->partner('bell');
    $t->allow_errors(qr/field lists cannot be applied/);
    ask(503, GET => "/feeds/orders$_", key => $blurred)
        for '', '/events', '/backfill', '/manifest', '/snapshot', "/pages/$epoch/head";
}

# A type that has a page of its own, and versions with and without dates.
sub catalogue {
    my $types = '/event-types';
    my ($integer, $any) = ('{"type":"integer"}', '{}');

    $t->ctl_ok({ stdin => $integer }, qw(type register one 1.0.0));
    $t->ctl_ok({ stdin => $any }, qw(type register one 2.0.0 --description=Any));
    $t->ctl_ok({ stdin => $any }, qw(type register two 1.0.0), '--feeds=ord*,none');
    $t->ctl_ok(qw(type deprecate one 1.0.0 --from=2026-01-01T00:00:00Z
        --sunset=2099-01-01T00:00:00Z));

    my $list = ask(200, GET => "$types?limit=1");
    my $more = $list->{json}{next};
    like($more, qr/^[0-9a-f]+$/, 'there are more');
    is(ask(200, GET => "$types?limit=1&after=$more")->{json}{next}, undef, 'and no more');
    is_deeply(ask(200, GET => "$types/two")->{json}{feeds}, ['ord*', 'none'], 'its feeds');
    is(ask(200, GET => "$types/one/1.0.0")->{body}, $integer, 'a schema');
    for my $path ('', '/one', '/one/1.0.0') {
        my $etag = ask(200, GET => "$types$path")->{headers}{etag};
        ask(304, GET => "$types$path", headers => { 'If-None-Match' => $etag });
    }
    ask(400, GET => "$types?limit=0");
    ask(404, GET => "$types/one/1.0.1");

    $t->feed("checked-$_", schema => $_) for qw(warn enforce);
    my $event = { specversion => '1.0', source => '/a', type => 'one', id => 'j1',
        dataschema => 'https://a.example/one/1.0.0', data => 'x' };
    my $kept = ask(201, POST => '/feeds/checked-warn/events', body => $event);
    is($kept->{json}{results}[0]{warning}{pointer}, '/data', 'a warning');
    ask(422, POST => '/feeds/checked-enforce/events', body => $event);
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
    ask(410, PUT => $path =~ s/orders/trimmed/r, body => { cursor => "$old-1" });
    ask(400, PUT => $path, body => { cursor => $_ }) for 'x', "$epoch-99";
    ask(400, PUT => $path, body => []);
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
    $t->ctl_ok('partner', 'change', 'tester', '--quota-consumers=2');
    is(ask(409, PUT => $path, body => { cursor => "$epoch-1" })->{json}{quota},
        'consumers', 'no more than its quota');
    $t->ctl_ok('partner', 'change', 'tester', '--quota-consumers=default');
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
    my $second = ask(201, POST => $list, @as, body => { url => $recv->url, feeds => ['orders'] });
    my $after = ask(200, GET => "$list?limit=1", @as)->{json}{next};
    ask(200, GET => "$list?limit=1&after=$after", @as);
    ask(204, DELETE => "$list/$second->{json}{name}", @as);
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

    $t->ctl_ok('partner', 'change', 'acme', '--quota-bytes=1');
    is(ask(409, @$_, @as)->{json}{quota}, 'bytes', "not over its quota: $_->[0]")
        for [ POST => $list, body => { url => $recv->url, feeds => ['orders'] } ],
            [ PATCH => $path, body => { headers => { 'x-a' => 'y' x 500 } } ],
            [ POST => "$path/rotate" ],
            [ POST => "$path/simulate", body => { failure => 'drop' } ];
    $t->ctl_ok('partner', 'change', 'acme', '--quota-bytes=default');

    $t->run_dispatcher;
    ok(wait_for(sub { @{ dead(@as)->{dead_letters} } >= 12 }, 30), 'dead letters');
    for my $records (qw(dead-letters attempts)) {
        my $next = ask(200, GET => "$path/$records?limit=2", @as)->{json}{next};
        ask(200, GET => "$path/$records?limit=2&after=$next", @as);
    }
    ask(200, GET => "$path/status", @as);
    ask(200, GET => '/status', @as);
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
    my $cleared = cleared(\@as, $list, $recv->url);
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    unverified(\@as, $path, $cleared);
    cleared_later(\@as, $cleared);

    ask(400, PATCH => $path, @as, body => { colour => 'red' });
    ask(400, POST => $list, @as, body => []);
    ask(400, POST => "$path/rotate", @as, body => { x => 1 });
    for my $cursor (undef, 'x', "$epoch-99") {
        ask(400, POST => "$path/resend", @as, body => { feed => 'orders', cursor => $cursor });
        ask(400, POST => "$path/replay", @as, body => { feed => 'orders', after => $cursor });
    }
    ask(200, POST => "$path/rotate", @as);
    ask(409, POST => "$path/rotate", @as);

    my $other = ask(201, POST => $list, @as, body => { url => $recv->url, feeds => ['orders'],
        secrets => [ $made->{json}{secret} ] });
    is($other->{json}{secret}, undef, "one's own secret is not shown");
    ask(204, DELETE => "$list/$other->{json}{name}", @as, headers => {
        'If-Match' => $other->{headers}{etag}, 'If-None-Match' => '"x"' });
}

# What is not to be sent, with a dispatcher; the endpoint that it is of.
sub cleared {
    my ($as, $list, $url) = @_;
    my $path = "$list/" . ask(201, POST => $list, @$as, body => { url => $url,
        feeds => ['orders'], paused => JSON::PP::true, start => 'oldest' })->{json}{name};
    my $yes = JSON::PP::true;

    ask(200, POST => "$path/skip", @$as, body => { feed => 'orders', cursor => "$epoch-1" });
    ask(409, POST => "$path/skip", @$as, body => { feed => 'orders', cursor => "$epoch-1" });
    ask(200, POST => "$path/cancel", @$as, body => { feed => 'orders', types => ['x.*'],
        statuses => [500, 0], dry_run => $yes });
    ask(200, POST => "$path/cancel", @$as, body => { feed => 'orders', from => "$epoch-1",
        to => "$epoch-3", expect => 2 });
    ask(409, POST => "$path/cancel", @$as, body => { feed => 'orders', expect => 7 });
    ask(200, POST => "$path/discard", @$as, body => { classes => ['tls'], dry_run => $yes });
    ask(200, POST => "$path/discard", @$as, body => { feed => 'orders', to => "$epoch-3",
        classes => ['skipped'], expect => 1 });
    ask(409, POST => "$path/discard", @$as, body => { expect => 7 });
    for my $op (qw(skip cancel discard)) {
        ask(400, POST => "$path/$op", @$as, body => {});
    }
    return $path;
}

# With a dispatcher that wants agreements.
sub unverified {
    my ($as, @paths) = @_;

    $t->run_dispatcher('--verify-endpoints=all');
    for my $path (@paths) {
        ok(wait_for(sub { $t->http(GET => "/v1$path",
            { authorization => "Bearer $manager" })->{body}
            =~ /"verified":false/ }, 30), 'an endpoint has not agreed');
        ask(200, GET => $path, @$as);
        ask(200, GET => "$path/status", @$as);
        ask(409, POST => "$path/test", @$as);
    }
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
}

# The same when none runs any more.
sub cleared_later {
    my ($as, $path) = @_;

    ask(202, POST => "$path/skip", @$as, body => { feed => 'orders', cursor => "$epoch-4" });
    ask(202, POST => "$path/cancel", @$as, body => { feed => 'orders', expect => 0 });
    ask(202, POST => "$path/discard", @$as, body => { expect => 0 });
    $t->{cleared} = $path =~ s{.*/}{}r;
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
    ask(200, GET => '/metrics', key => $admin,
        headers => { accept => 'application/openmetrics-text' });
    ask(200, GET => $_, key => $admin) for '/partners/acme/status', '/store';
    my $next = ask(200, GET => '/partners?sort=lag&search=c&limit=1', key => $admin)->{json}{next};
    ask(200, GET => "/partners?sort=lag&search=c&limit=1&after=$next", key => $admin) if $next;
    $next = ask(200, GET => '/partners?limit=1', key => $admin)->{json}{next};
    ask(200, GET => "/partners?limit=1&after=$next", key => $admin);
}

# Each status that many operations have, wherever it is declared.
sub refused {
    my $any_key = qr/^(?:listFeeds|listEventTypes|getEventType|getSchema)$/;

    for my $operation ($api->operations) {
        my ($method, $path) = ($operation->{method}, path_of($operation));
        my ($tag) = @{ $operation->{op}{tags} };
        my $has = sub { $operation->{responses}{ $_[0] } };
        my @as = (key => $tag eq 'endpoints' ? $manager : $tag eq 'operate' ? $admin : $key);
        my $authorize = $operation->{id} eq 'authorizeFeed';

        ask(400, $method => "$path?nonsense=1", @as);
        next unless $has->(401) && $tag ne 'dashboard';    # see sessions()

        ask(401, $method => $path, key => undef);
        ask(403, $method => $authorize ? path_of($operation, feed => 'secret') : $path,
            key => $tag eq 'publish' ? $reader : $authorize ? $reader : $writer)
            if $has->(403) && $tag ne 'token' && $operation->{id} !~ $any_key;
        ask(403, $method => $path, $tag eq 'token' ? form_of($elsewhere) : (key => $elsewhere));
        ask(404, $method => path_of($operation, feed => 'none', name => 'ep_none', type => 'none',
            partner => 'none'),
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
        next if !$has->(415);
        ask(415, $method => $path, @as, body => '{}', headers =>
            { 'Content-Encoding' => 'zip' });
        ask(400, $method => $path, @as, body => '{}', headers =>
            { 'content-range' => 'bytes 0-1/2' });
        ask(400, $method => $path, @as, body => '{}', headers =>
            { 'Content-Digest' => 'sha-256=:' . 'A' x 43 . '=:', $operation->{id}
            eq 'createToken' ? ('content-type' => 'application/x-www-form-urlencoded')
            : () });
    }
    ask(410, GET => '/feeds/trimmed/snapshot?page=' . trimmed_page());

    for my $prefix ('/draft', '/legacy') {
        $t->http(GET => "$prefix/feeds");
        ask(429, $_->{method} => path_of($_), prefix => $prefix)
            for grep { $_->{responses}{429} } $api->operations;
    }
}

# By each policy: of a partner's who has used up what it may.
sub limited {
    $t->http(GET => '/quota/feeds', { authorization => "Bearer $key" });
    $t->http(GET => '/quota/endpoints', { authorization => "Bearer $manager" });
    $t->http(POST => '/quota/feeds/orders/events', { authorization => "Bearer $key",
        'content-type' => 'application/json' }, $t->event);

    for my $operation (grep { $_->{responses}{429} } $api->operations) {
        my ($tag) = @{ $operation->{op}{tags} };
        my @as = (prefix => '/quota', key => $tag eq 'endpoints' ? $manager : $key);

        # what is not charged is refused by address only
        next if $operation->{id} eq 'authorizeFeed' || $tag =~ /^(?:operate|dashboard)$/;
        is_deeply(ask(429, $operation->{method} => path_of($operation), @as,
            $tag eq 'token' ? form_of($key) : $operation->{body} ? (body => $t->event) : ())->{json}{'violated-policies'},
            [ $tag eq 'publish' ? 'publish' : $tag eq 'endpoints' ? 'manage' : 'poll' ], "$operation->{id}: by which");
    }

    my $backfill = '/feeds/orders/backfill';
    my $one = $t->partner_key('one', feeds => '*', scopes => 'read');
    for my $target ('/feeds/orders/events?from=latest&wait=60', $backfill) {
        my $wait = $t->http_start(GET => '/waits/feeds/orders/events?from=latest&wait=60',
            { authorization => "Bearer $one" });
        my $refused;
        ok(wait_for(sub {
            my $r = $t->http(GET => '/waits/feeds/orders/events?from=latest&wait=1',
                { authorization => "Bearer $one" });
            return $r->{status} == 429;
        }), 'one waits');
        is_deeply(ask(429, GET => $target, key => $one, prefix => '/waits')
            ->{json}{'violated-policies'}, ['waits'], 'and no second one');
        close $wait->{sock};
        ok(wait_for(sub { $t->http(GET => '/waits/feeds/orders/events?from=oldest&wait=1',
            { authorization => "Bearer $one" })->{status} == 200 }), 'until it leaves');
    }
}

# Requests that no dispatcher takes.
sub untaken {
    my @as = (key => $t->partner_key('queue', feeds => 'orders',
        scopes => 'read,manage'));
    my $name = ask(201, POST => '/endpoints', @as, body => { feeds => ['orders'],
        url => 'https://a.example/' })->{json}{name};
    ask(202, POST => "/endpoints/$name/test", @as) for 1 .. 10;
    is_deeply(ask(429, POST => "/endpoints/$name/test", @as)->{json}{'violated-policies'},
        ['requests'], 'no more than ten wait');
    ask(204, DELETE => "/endpoints/$name", @as);
}

# What ends a wait, which was charged: errors with fields of limits.
sub waiting {
    my $target = '/feeds/orders/events?from=latest&wait=60';

    for my $prefix ('/v1', '/old') {
        for my $case ([ 401, sub { $t->ctl_ok('key', 'revoke', $_[0]) } ],
            [ 403, sub { $t->ctl_ok('partner', 'change', $_[1], '--feeds=secret') } ])
        {
            my ($status, $end) = @$case;
            my $who = 'w' . substr($prefix, 1) . $status;
            my $its = $t->partner_key($who, feeds => 'orders', publish => 'orders',
                scopes => 'read,publish');
            my $call = $t->http_start(GET => "$prefix$target",
                { authorization => "Bearer $its" });

            # answered by the same worker, which has seen what came before
            $t->json_get('/v1/feeds', $key);
            $end->($its =~ /^esk_([^_]+)_/, $who);
            my $answer = $t->http_end($call);
            is($answer->{status}, $status, "a wait that ends with $status");
            is_deeply([ $api->judge($answer, GET => $target, {}) ], [], 'as declared');
        }
    }
}

# The fields that were before the draft, in each answer that has the draft's.
sub legacy {
    my %by = map { $_->{id} => $_ } $api->operations;
    my @as = (prefix => '/old');
    my $do = sub {
        my ($status, $id, %opts) = @_;
        my $target = path_of($by{$id}, %{ delete $opts{at} // {} })
            . (delete $opts{query} // '');
        return ask($status, $by{$id}{method} => $target, @as, %opts);
    };

    $do->(200, $_) for qw(listFeeds getFeed pollEvents backfillEvents getManifest getSnapshot
        listEventTypes getEventType getSchema listCheckpoints getStatus);
    $do->(200, $_, key => $admin) for qw(listPartners getPartnerStatus getStore);
    $do->(200, 'getPage', at => { n => 'head' });
    my ($of) = $t->poll('paged')->{next} =~ /^(.*)-/;
    $do->(416, 'getPage', at => { feed => 'paged', epoch => $of },
        headers => { range => 'bytes=999999999-' });
    $do->(200, 'createToken', form_of($key));
    $do->(201, 'publishEvents', body => $t->event);
    $do->(409, 'publishEvents', body => { specversion => '1.0', source => '/a', type => 'a',
        id => 'p1', data => [2] });

    my $cursor = { cursor => "$epoch-3" };
    $do->(201, 'putCheckpoint', body => $cursor);
    $do->(200, 'putCheckpoint', body => $cursor);
    $do->(200, 'getCheckpoint');
    $do->(304, $_, headers => { 'If-None-Match' => '*' })
        for qw(getCheckpoint listEventTypes getEventType getSchema);
    $do->(400, 'putCheckpoint', body => {});
    $do->(410, 'putCheckpoint', body => { cursor => 'zzzz-1' });
    $do->(412, 'putCheckpoint', body => { cursor => "$epoch-4" },
        headers => { 'If-Match' => '"x"' });
    $do->(415, 'putCheckpoint', body => '{}', headers => { 'content-type' => 'text/plain' });
    $do->(204, 'removeCheckpoint');
    $do->(404, 'getCheckpoint');
    ask(413, PUT => path_of($by{putCheckpoint}), prefix => $_, body => [ 'x' x 50000 ])
        for '/v1', '/old';

    push @as, key => $manager;
    my $url = 'https://a.example/';
    my $made = $do->(201, 'createEndpoint', body => { url => $url, feeds => ['orders'],
        paused => JSON::PP::true })->{json}{name};
    my @at = (at => { name => $made });
    $do->(200, 'listEndpoints');
    $do->(200, $_, @at) for qw(showEndpoint pauseEndpoint resumeEndpoint rotateSecret
        getEndpointStatus getEndpointKeys listAttempts listDeadLetters);
    $do->(200, 'changeEndpoint', @at, body => { in_flight => 2 });
    $do->(200, 'simulateFailure', @at, body => { failure => 'none' });
    $do->(202, 'replayEvents', @at, body => { feed => 'orders', from => 'oldest' });
    $do->(202, 'resendEvent', @at, body => { feed => 'orders', cursor => "$epoch-1" });
    $do->(202, $_, @at) for qw(redriveDeadLetters sendTestEvent);
    my @still = (at => { name => $t->{cleared} });
    my %count = map { $_ => $do->(200, $_, @still, body => { feed => 'orders',
        dry_run => JSON::PP::true })->{json}{count} } qw(cancelEvents discardDeadLetters);
    $do->(202, $_, @still, body => { feed => 'orders', expect => $count{$_} })
        for sort keys %count;
    my $dispatcher = $t->run_dispatcher;
    ok(wait_for(sub { $dispatcher->stderr =~ /info: eventsync-dispatcher/
        && $t->http(GET => '/v1/metrics', { authorization => "Bearer $admin" })->{body}
        =~ /^eventsync_dispatcher_heartbeat_age_seconds [01]\./m }, 30), 'a dispatcher');
    $do->(200, 'skipEvent', @still, body => { feed => 'orders', cursor => "$epoch-5" });
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    $do->(202, 'skipEvent', @still, body => { feed => 'orders', cursor => "$epoch-6" });
    $do->(204, 'removeEndpoint', @at);
}

# A snapshot's page of a feed that is reset.
sub reset_page {
    $t->publish('trimmed', map { { id => "r$_", subject => "r$_" } } 1 .. 4);
    my $page = $t->json_get('/v1/feeds/trimmed/snapshot?limit=1', $key)->{next};
    $t->ctl_ok('feed', 'reset', 'trimmed');
    $t->publish('trimmed', map { {} } 1 .. 9);
    ($old) = $t->poll('trimmed')->{next} =~ /^(.*)-9$/;
    $t->ctl_ok('feed', 'trim', 'trimmed', "--before=$old-5");
    return $page;
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
    # Large ones, and then small ones, which take the pages that are left.
    for my $body ($large, { url => 'https://a.example/', feeds => ['orders'] }) {
        $filled = 0;
        for my $i (1 .. 400) {
            $filled = $t->http(POST => '/v1/endpoints', { authorization => "Bearer $t->{tiny}",
                'content-type' => 'application/json' }, $coder->encode($body),
                port => $t->port(3))->{status} != 201;
            last if $filled;
        }
    }
    ok($filled, 'a full registry');
    ask(507, POST => '/endpoints', @tiny, body => $large);
    # More than what each of the others takes: the last pages may fit one of these.
    ask(507, PATCH => "/endpoints/$made", @tiny, body => { types => $large->{types},
        headers => { map { ("x-$_" => 'x' x 400) } 1 .. 9 } });
}

# 500 and 503, of everything that declares them.
sub broken {
    for my $case ([ 500, 1, $lost ], [ 503, 2, $key ]) {
        my ($status, $port, $with) = @$case;
        ask($status, $_->{method} => path_of($_), $_->{id} eq 'createToken'
            ? form_of($with) : $_->{id} eq 'createSession'
            ? (key => undef, body => { link => $lost_link }) : (key => $with), port => $port)
            for grep { $_->{responses}{$status} } $api->operations;
    }
}
