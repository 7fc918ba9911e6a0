#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Checkpoints: what a partner's consumers acknowledge, from every worker, by
# HTTP and eventsyncctl; what they may not say, and how far they are behind.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed($_) for qw(orders secret reset gone);
$t->feed('short', retain_count => 10);
$t->feed('small', retain_bytes => 5000);
$t->feed('aged', retain_age => '1h');
my $acme = $t->partner_key('acme', feeds => 'orders,reset,gone,short,small,aged,nothing',
    scopes => 'read,ack');
my $other = $t->partner_key('other', feeds => 'orders', scopes => 'read,ack');
my $writer = $t->partner_key('writer', feeds => 'orders', publish => 'orders',
    scopes => 'publish');

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /v1/ {
            eventsync_poll on;
            eventsync_publish on;
            eventsync_checkpoints on;
        }

        location /limited/ {
            eventsync_checkpoints on;
            eventsync_limit poll rate=1r/d burst=2;
        }

        location /open/ {
            eventsync_checkpoints on;
            eventsync_auth off;
        }

        location /off/ {
            eventsync_poll on;
            eventsync_checkpoints off;
        }
    }
}
CONF
$t->run_nginx;
$t->publish($_, map { {} } 1 .. 9)
    for qw(orders secret reset gone short small aged);

my %epoch = map {
    $_ => ($t->poll($_, from => 'latest')->{next} =~ /^(.*)-/)[0]
} qw(orders secret reset gone short small aged);

sub ask {
    my ($method, $path, %opts) = @_;
    $path = "/v1/feeds/$path" unless $path =~ m{^/};
    my $body = $opts{body};
    my $headers = { 'content-type' => 'application/json',
        authorization => 'Bearer ' . ($opts{key} // $acme),
        %{ $opts{headers} // {} } };
    my $answer = $t->http($method, $path, $headers, $body);
    $answer->{json} = Test::Eventsync::json($answer->{body}) // {};
    return $answer;
}

sub put {
    my ($path, $sequence, %opts) = @_;
    my ($feed) = $path =~ m{^(?:/\w+/feeds/)?(\w+)/};
    my $rewind = $opts{rewind} ? ',"rewind":true' : '';
    return ask(PUT => $path, %opts,
        body => qq({"cursor":"$epoch{$feed}-$sequence"$rewind}));
}

sub refused {
    my ($answer, $status, $type, $words, $name) = @_;
    my $ok = $answer->{status} == $status
        && ($answer->{json}{type} // '') eq "urn:eventsync:problem:$type"
        && $answer->{json}{detail} =~ /$words/
        && $answer->{headers}{'cache-control'} eq 'no-store';
    return ok($ok, $name) || diag("$answer->{status} $answer->{body}");
}

my $one = 'orders/checkpoints/one';

###############################################################################
# making, reading, moving, removing

{
    refused(ask(GET => $one), 404, 'not-found', 'checkpoint', 'none yet');
    my $made = put($one, 3);
    is($made->{status}, 201, 'made');
    is($made->{headers}{'cache-control'}, 'no-store', 'not to be cached');
    like($made->{headers}{etag}, qr/^"[0-9a-f]{16}"$/, 'its ETag');
    my $doc = $made->{json};
    is($doc->{consumer}, 'one', 'consumer');
    is($doc->{feed}, 'orders', 'feed');
    is($doc->{cursor}, "$epoch{orders}-3", 'cursor');
    is($doc->{status}, 'ok', 'status');
    like($doc->{updated}, qr/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/, 'updated');
    is($doc->{lag}{events}, 6, 'lag in events');
    cmp_ok($doc->{lag}{seconds}, '>=', 0, 'and in seconds');
    is_deeply($doc->{retention}, { oldest => "$epoch{orders}-0",
        warning => JSON::PP::false(), expires => undef, missed => 0 },
        'retention');

    my $got = ask(GET => $one);
    is($got->{status}, 200, 'read');
    is($got->{headers}{'cache-control'}, 'no-store',
        'what a cache would keep has an old lag');
    is($got->{headers}{etag}, $made->{headers}{etag}, 'of the same ETag');
    is($got->{json}{cursor}, $doc->{cursor}, 'and cursor');

    my $not = ask(GET => $one,
        headers => { 'if-none-match' => "\"x\", $made->{headers}{etag}" });
    is($not->{status}, 304, 'not modified');
    is($not->{body}, '', 'without a body');
    is($not->{headers}{etag}, $made->{headers}{etag}, 'but its ETag');
    is($not->{headers}{'cache-control'}, 'no-store', 'nor kept');
    my $head = ask(HEAD => $one);
    is($head->{status}, 200, 'HEAD');
    is($head->{body}, '', 'without a body');

    my $moved = put($one, 5);
    is($moved->{status}, 200, 'moved');
    isnt($moved->{headers}{etag}, $made->{headers}{etag}, 'to another ETag');
    is($moved->{json}{lag}{events}, 4, 'and lag');
    is(put($one, 5)->{headers}{etag}, $moved->{headers}{etag},
        'the same once more is the same');
    is(put($one, 9)->{json}{lag}{events}, 0, 'at the end');
    is(ask(GET => $one)->{json}{lag}{seconds}, 0, 'there is no lag');

    my $behind = put($one, 4);
    refused($behind, 409, 'checkpoint-behind', 'rewind', 'not back');
    is($behind->{json}{current}, "$epoch{orders}-9", 'where it is');
    my $back = put($one, 4, rewind => 1);
    is($back->{status}, 200, 'but with "rewind"');
    is($back->{json}{cursor}, "$epoch{orders}-4", 'it goes back');

    is(put('orders/checkpoints/two', 0)->{status}, 201, 'the very beginning');
    my $list = ask(GET => 'orders/checkpoints');
    is($list->{status}, 200, 'list');
    is_deeply([ map { $_->{consumer} } @{ $list->{json}{checkpoints} } ],
        [qw(one two)], 'has both');
    is_deeply(ask(GET => 'orders/checkpoints', key => $other)->{json},
        { checkpoints => [] }, 'of another partner there is none');
    refused(ask(GET => $one, key => $other), 404, 'not-found', 'checkpoint',
        'nor is it shown');

    my $removed = ask(DELETE => 'orders/checkpoints/two');
    is($removed->{status}, 204, 'removed');
    is($removed->{body}, '', 'says nothing');
    refused(ask(DELETE => 'orders/checkpoints/two'), 404, 'not-found',
        'checkpoint', 'once only');
}

###############################################################################
# conditions

{
    my $etag = ask(GET => $one)->{headers}{etag};
    my $new = 'orders/checkpoints/new';
    my $unmet = put($one, 6, headers => { 'if-match' => '"0000000000000000"' });
    refused($unmet, 412, 'precondition-failed', 'does not satisfy', 'If-Match');
    is($unmet->{json}{current}, "$epoch{orders}-4", 'where it is');
    refused(put($one, 6, headers => { 'if-match' => "W/$etag" }), 412,
        'precondition-failed', '', 'If-Match is strong');
    refused(put($one, 6, headers => { 'if-none-match' => '*' }), 412,
        'precondition-failed', '', 'If-None-Match: *');
    refused(put($new, 6, headers => { 'if-match' => '*' }), 412,
        'precondition-failed', '', 'If-Match: * of none');
    is(put($new, 6, headers => { 'if-none-match' => '*' })->{status}, 201,
        'If-None-Match: * of none');
    my $moved = put($one, 6, headers => { 'if-match' => qq("z", $etag) });
    is($moved->{status}, 200, 'If-Match that matches');
    is(put($one, 6, headers => { 'if-match' => $etag })->{status}, 200,
        'repeated it has happened already');
    refused(ask(DELETE => $one, headers => { 'if-match' => $etag }), 412,
        'precondition-failed', '', 'DELETE of what moved');
    is(ask(DELETE => $new, headers => { 'if-match' => '*' })->{status}, 204,
        'DELETE that matches');
    put($new, 6);
    isnt(ask(GET => $new)->{headers}{etag}, $etag,
        'what is made again has another ETag');
    ask(DELETE => $new);
}

###############################################################################
# refusals

{
    my $unknown = ask(GET => 'nothing/checkpoints/one');
    refused($unknown, 404, 'not-found', 'feed', 'unknown feed');
    for my $method (qw(GET PUT DELETE)) {
        my $foreign = ask($method => 'secret/checkpoints/one',
            $method eq 'PUT' ? (body => '{') : ());
        is($foreign->{body}, $unknown->{body}, "$method: not granted is the same");
    }
    is(ask(GET => 'secret/checkpoints')->{body}, $unknown->{body},
        'so is the list');
    is(ask(GET => 'nothing/checkpoints')->{body}, $unknown->{body},
        'of either');
    refused(ask(GET => $one, key => $writer), 403, 'forbidden', 'read',
        'scope');
    refused(ask(GET => $one, key => 'x'), 401, 'unauthorized', '',
        'credential');
    refused(put("/open/feeds/$one", 1), 403, 'forbidden', 'partner',
        'without authentication');
    refused(ask(GET => "$one?x=1"), 400, 'invalid-parameter', 'x',
        'a parameter');
    is(ask(GET => "/off/feeds/$one")->{status}, 404, 'switched off');
    my $post = ask(POST => $one, body => '{}');
    refused($post, 405, 'method-not-allowed', 'PUT', 'method');
    is($post->{headers}{allow}, 'GET, HEAD, PUT, DELETE, OPTIONS', 'Allow');
    is(ask(PUT => 'orders/checkpoints', body => '{}')->{status}, 405,
        'a list is read');

    my $ahead = put($one, 10);
    refused($ahead, 400, 'cursor-ahead', 'ahead of', 'ahead');
    is($ahead->{json}{latest}, "$epoch{orders}-9", 'of what');
    my $foreign = ask(PUT => $one, body => '{"cursor":"zzzz-1"}');
    refused($foreign, 410, 'feed-reset', '', 'another epoch');
    is($foreign->{json}{oldest}, "$epoch{orders}-0", 'oldest');
    is($foreign->{json}{latest}, "$epoch{orders}-9", 'latest');
    is($foreign->{json}{missed}, undef, 'missed');
    is($foreign->{json}{restart},
        "/v1/feeds/orders/events?after=$epoch{orders}-0", 'restart polls');
    is(ask(GET => $foreign->{json}{restart})->{status}, 200, 'and works');

    my %bad = ('' => 'object', '{' => 'object', '[]' => 'object',
        '{}' => '"cursor" is missing', '{"cursor":1}' => 'may contain only',
        '{"rewind":true}' => '"cursor" is missing',
        qq({"cursor":"$epoch{orders}-5","rewind":1}) => 'may contain only',
        qq({"cursor":"$epoch{orders}-5","more":1}) => 'may contain only',
        qq({"cursor":"$epoch{orders}-5","cursor":"$epoch{orders}-6"})
            => 'object');
    for my $body (sort keys %bad) {
        refused(ask(PUT => $one, body => $body), 400, 'invalid-body',
            $bad{$body}, "body: $body");
    }
    for my $cursor ('', 'x', "$epoch{orders}-05", "$epoch{orders}-5 ") {
        refused(ask(PUT => $one, body => qq({"cursor":"$cursor"})), 400,
            'invalid-cursor', 'cursor', "cursor: $cursor");
    }
    refused(ask(PUT => $one, body => '{"cursor":"a-1"}',
        headers => { 'content-type' => 'text/plain' }), 415,
        'unsupported-media-type', 'application/json', 'content type');
    refused(ask(PUT => $one, body => ' ' x 100_000), 413, 'too-large',
        'too large for', 'too large');

    for my $name ('UPPER', '%20', '-x', 'a.b', 'x' x 64) {
        refused(put("orders/checkpoints/$name", 1), 400, 'invalid-parameter',
            'name', "name: $name");
        refused(ask(GET => "orders/checkpoints/$name"), 404, 'not-found',
            'checkpoint', 'nor is it there');
    }
    is(put('orders/checkpoints/' . 'x' x 63, 1)->{status}, 201,
        'the longest name');
    is(ask(DELETE => 'orders/checkpoints/' . 'x' x 63)->{status}, 204,
        'removed');
    is(ask(GET => $one)->{json}{cursor}, "$epoch{orders}-6",
        'none of it moved it');
}

###############################################################################
# quota: a 304 is work as well

{
    my $path = "/limited/feeds/$one";
    is(put($path, 7)->{status}, 200, 'charged');
    my $etag = ask(GET => $one)->{headers}{etag};
    is(ask(GET => $path, headers => { 'if-none-match' => $etag })->{status},
        304, 'charged');
    is(ask(GET => $path)->{status}, 429, 'over quota');
    is(ask(GET => $path, headers => { 'if-none-match' => $etag })->{status},
        429, 'whatever is known');
    is(put($path, 8)->{status}, 429, 'for all');
    is(ask(DELETE => $path)->{status}, 429, 'methods');
    is(ask(GET => '/limited/feeds/orders/checkpoints')->{status}, 429,
        'and the list');
    is(ask(GET => $one)->{json}{cursor}, "$epoch{orders}-7",
        'which did nothing');
}

###############################################################################
# as many as there may be; many at once, from two workers

{
    # Those on other feeds count, too.
    my @had = split /\n/, $t->ctl_ok('checkpoint', 'list', '--partner=acme');
    my $quota = 99 + @had;
    $t->ctl_ok('partner', 'change', 'acme', "--quota-consumers=$quota");

    my @calls = map { $t->http_start(PUT => "/v1/feeds/orders/checkpoints/n$_",
        { authorization => "Bearer $acme", 'content-type' => 'application/json' },
        qq({"cursor":"$epoch{orders}-1"})) } 1 .. 110;
    my %status;
    $status{ $t->http_end($_)->{status} }++ for @calls;
    is_deeply(\%status, { 201 => 99, 409 => 11 }, 'as many as the quota says');
    refused(put('orders/checkpoints/more', 1), 409, 'too-many', $quota,
        'no more');
    is(put($one, 8)->{status}, 200, 'those that are there move');
    is(put($one, 1, key => $other)->{status}, 201,
        'and other partners make theirs');
    my $list = ask(GET => 'orders/checkpoints')->{json}{checkpoints};
    is(scalar @$list, 100, 'the list has all');
    ask(DELETE => "orders/checkpoints/$_->{consumer}")
        for grep { $_->{consumer} =~ /^n/ } @$list;

    # Each of these that succeeds was ahead of all before it.
    @calls = map { $t->http_start(PUT => '/v1/feeds/orders/checkpoints/race',
        { authorization => "Bearer $acme", 'content-type' => 'application/json' },
        qq({"cursor":"$epoch{orders}-$_"})) } map { 1 + int rand 9 } 1 .. 40;
    $t->http_end($_) for @calls;
    put('orders/checkpoints/race', 9);
    is(ask(GET => 'orders/checkpoints/race')->{json}{cursor},
        "$epoch{orders}-9", 'a race never goes back');
    ask(DELETE => 'orders/checkpoints/race');
}

###############################################################################
# retention

{
    my $short = 'short/checkpoints/one';
    put($short, 2);
    ok(!put($short, 2)->{json}{retention}{warning}, 'room of retention');
    $t->publish('short', {});
    my $doc = ask(GET => $short)->{json};
    is($doc->{lag}{events}, 8, 'of ten that are kept');
    ok(!$doc->{retention}{warning}, 'a fifth is left');
    $t->publish('short', {});
    $doc = ask(GET => $short)->{json};
    ok($doc->{retention}{warning}, 'less than a fifth');
    is($doc->{status}, 'ok', 'but still good');

    $t->publish('short', map { {} } 1 .. 20);
    $t->ctl_ok(qw(feed trim short), "--before=$epoch{short}-22");
    $doc = ask(GET => $short)->{json};
    is($doc->{status}, 'expired', 'expired');
    ok($doc->{retention}{warning}, 'which warns');
    is($doc->{lag}{events}, 29, 'behind by');
    is($doc->{lag}{seconds}, undef, 'nobody knows since when');
    my ($oldest) = $doc->{retention}{oldest} =~ /-(\d+)$/;
    cmp_ok($oldest, '>', 2, 'oldest');
    is($doc->{retention}{missed}, $oldest - 2, 'missed');
    is(put($short, 2)->{status}, 410, 'not acknowledged once more');
    my $late = put($short, 3);
    refused($late, 410, 'cursor-expired', 'no longer', 'nor moved to');
    is($late->{json}{missed}, $oldest - 3, 'what is missing');
    is(put($short, 31)->{json}{status}, 'ok', 'beyond, it is good again');

    put('small/checkpoints/one', 1);
    $t->publish('small', { data => 'x' x 4500 });
    ok(ask(GET => 'small/checkpoints/one')->{json}{retention}{warning},
        'retention by bytes');

    put('aged/checkpoints/one', 1);
    $doc = ask(GET => 'aged/checkpoints/one')->{json};
    ok(!$doc->{retention}{warning}, 'retention by age');
    is($doc->{retention}{expires}, moment(committed('aged') + 3_600_000),
        'which is known to the millisecond');
    is(put('aged/checkpoints/end', 9)->{json}{retention}{expires}, undef,
        'at the end nothing expires');

    my $age = int ask(GET => 'aged/checkpoints/one')->{json}{lag}{seconds};
    $t->ctl_ok(qw(feed change aged), '--retain-age=' . (2 * $age + 600) . 's');
    ok(!ask(GET => 'aged/checkpoints/one')->{json}{retention}{warning},
        'retention by age: more than a fifth');
    $t->ctl_ok(qw(feed change aged), '--retain-age=' . ($age + 1) . 's');
    ok(wait_for(sub {
        $doc = ask(GET => 'aged/checkpoints/one')->{json};
        return $doc->{retention}{warning};
    }), 'less than a fifth');
    is($doc->{status}, 'ok', 'good until it is trimmed');
    $t->ctl_ok(qw(feed change aged --retain-age=1h));
}

# When the feed's only commit was, in milliseconds: it is found by times up to
# that, and by none after it.
sub committed {
    my ($feed) = @_;
    my ($low, $high) = map { 1000 * (time + $_) } -3600, 3600;
    while ($high - $low > 1) {
        my $middle = int(($low + $high) / 2);
        my $found = $t->poll($feed, from => moment($middle), limit => 1);
        @{ $found->{events} } ? ($low = $middle) : ($high = $middle);
    }
    return $low;
}

sub moment {
    my ($ms) = @_;
    my @t = gmtime int $ms / 1000;
    return sprintf '%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', $t[5] + 1900,
        $t[4] + 1, @t[3, 2, 1, 0], $ms % 1000;
}

###############################################################################
# who may no more when the body is complete

{
    my $late = $t->partner_key('acme', scopes => 'read,ack');
    my ($id) = $late =~ /^esk_([a-z2-7]+)_/;
    my $body = qq({"cursor":"$epoch{orders}-9"});
    my $before = ask(GET => $one)->{json}{cursor};
    my $sock = $t->socket;
    $t->send_all($sock, "PUT /v1/feeds/$one HTTP/1.1\r\nHost: localhost\r\n"
        . "Authorization: Bearer $late\r\nContent-Type: application/json\r\n"
        . 'Content-Length: ' . length($body) . "\r\nConnection: close\r\n\r\n"
        . substr $body, 0, 5);
    select undef, undef, undef, 0.3;
    $t->ctl_ok(qw(key revoke), $id);
    $t->send_all($sock, substr $body, 5);
    like($t->read_all($sock), qr{^HTTP/1\.1 401 }, 'revoked meanwhile');
    is(ask(GET => $one)->{json}{cursor}, $before, 'nothing moved');
}

###############################################################################
# eventsyncctl

{
    my $out = $t->ctl_ok(qw(checkpoint list --partner=acme --feed=orders));
    like($out, qr/^acme\s+orders\s+one\s+\S+-8 ok behind=1$/, 'list');
    my @all = split /\n/, $t->ctl_ok(qw(checkpoint list --json));
    is(scalar(grep { Test::Eventsync::json($_)->{partner} eq 'other' } @all), 1,
        'list of all, as JSON');
    my $doc = Test::Eventsync::json($t->ctl_ok(qw(checkpoint show acme orders
        one)));
    is($doc->{cursor}, "$epoch{orders}-8", 'show');
    $t->ctl_ok(qw(checkpoint set acme orders mine), "$epoch{orders}-4");
    is(ask(GET => 'orders/checkpoints/mine')->{json}{lag}{events}, 5, 'set');
    $t->ctl_ok(qw(checkpoint set acme orders mine), "$epoch{orders}-2",
        '--rewind');
    is(ask(GET => 'orders/checkpoints/mine')->{json}{lag}{events}, 7,
        'set --rewind');

    for (
        [ qr/--rewind/, 'mine', "$epoch{orders}-1" ],
        [ qr/no such event/, 'mine', "$epoch{orders}-99" ],
        [ qr/epoch/, 'mine', 'zzzz-1' ],
        [ qr/name/, 'MINE', "$epoch{orders}-1" ],
        [ qr/not a cursor/, 'mine', 'x' ],
    ) {
        my ($words, @args) = @$_;
        my ($rc, undef, $err) = $t->ctl(qw(checkpoint set acme orders), @args);
        ok($rc && $err =~ $words && $err =~ /^[^\n]+\n$/, "set: $words")
            or diag($err);
    }
    $t->ctl_ok(qw(checkpoint remove acme orders mine));
    for ([ qw(show acme orders mine) ], [ qw(remove acme orders mine) ],
        [ qw(show nobody orders one) ], [ qw(show acme nowhere one) ],
        [ qw(list --partner=nobody) ], [ qw(list --partner=acme --feed=no) ])
    {
        my ($rc, undef, $err) = $t->ctl('checkpoint', @$_);
        ok($rc && $err =~ /^[^\n]*\bno [^\n]+\n$/, "@$_: refused")
            or diag($err);
    }
}

###############################################################################
# a feed that is reset or removed, a partner that is removed

# How many are on disk, be they of nobody any more.
sub records { return ($t->ctl_ok('verify') =~ /(\d+) checkpoints/)[0] }

{
    put('reset/checkpoints/one', 4);
    put('gone/checkpoints/one', 4);
    $t->ctl_ok(qw(feed reset reset));
    my $doc = ask(GET => 'reset/checkpoints/one')->{json};
    is($doc->{status}, 'reset', 'reset');
    ok($doc->{retention}{warning}, 'which warns');
    is($doc->{cursor}, "$epoch{reset}-4", 'with what it was');
    is_deeply($doc->{lag}, { events => undef, seconds => undef },
        'nobody knows how far behind');
    ($epoch{reset}) = $t->poll('reset', from => 'latest')->{next} =~ /^(.*)-/;
    is(put('reset/checkpoints/one', 0)->{status}, 200,
        'it goes on in the new epoch, at its beginning');

    my $records = records();
    $t->ctl_ok(qw(feed remove gone));
    is(records(), $records - 1, 'what is of a feed that is removed goes');
    is(ask(GET => 'gone/checkpoints/one')->{status}, 404, 'with its feed');
    $t->feed('gone');
    is_deeply(ask(GET => 'gone/checkpoints')->{json}, { checkpoints => [] },
        'a new one of that name has none');

    my ($id) = $other =~ /^esk_([a-z2-7]+)_/;
    is(put('orders/checkpoints/two', 1, key => $other)->{status}, 201,
        'one more of a partner');
    $records = records();
    $t->ctl_ok(qw(key remove), $id);
    $t->ctl_ok(qw(partner remove other));
    is(records(), $records - 2, 'what is of a partner that is removed goes');
    my $again = $t->partner_key('another', feeds => 'orders', scopes => 'read,ack');
    is_deeply(ask(GET => 'orders/checkpoints', key => $again)->{json},
        { checkpoints => [] }, 'no other partner has them');
}

###############################################################################
# reload, restart, a corrupted record

$t->reload;
is(ask(GET => $one)->{json}{cursor}, "$epoch{orders}-8", 'after a reload');
is(put($one, 9)->{status}, 200, 'it moves');
$t->stop_nginx;
$t->run_nginx;
is(ask(GET => $one)->{json}{cursor}, "$epoch{orders}-9", 'after a restart');
ok($t->verify, 'verify');

{
    # Twice in the file perhaps, of which LMDB uses one.
    $t->stop_nginx;
    my $file = $t->store . '/checkpoints/data.mdb';
    open my $fh, '+<:raw', $file or die "$file: $!\n";
    my $data = do { local $/; <$fh> };
    my $changed = 0;
    while ($data =~ /\Q$epoch{aged}\E\0/g) {
        seek $fh, $-[0], 0;
        print {$fh} 'zz';
        $changed++;
    }
    close $fh or die "$file: $!\n";
    ok($changed, 'records are changed on disk');
    $t->run_nginx;
    $t->allow_errors(qr/eventsync store failed/);
    refused(ask(GET => 'aged/checkpoints/one'), 500, 'internal', 'failed',
        'a corrupted one is refused');
    refused(put('aged/checkpoints/one', 5), 500, 'internal', 'failed',
        'and not moved');
    refused(ask(GET => 'aged/checkpoints'), 500, 'internal', 'failed',
        'nor listed');
    is(ask(GET => $one)->{status}, 200, 'others are well');
    my ($rc, $out, $err) = $t->ctl('verify');
    ok($rc && "$out$err" =~ /checkpoint "one" of partner number \d+ does not match/,
        'verify tells') or diag("$rc $out$err");
    is(ask(DELETE => "aged/checkpoints/$_")->{status}, 204, 'it can be removed')
        for qw(one end);
    is(put('aged/checkpoints/one', 5)->{status}, 201, 'and made again');
    ok($t->verify, 'after which all is well');
}

# A store of before there were any.
{
    $t->stop_nginx;
    system('rm', '-r', $t->store . '/checkpoints') == 0 or die "rm failed\n";
    is($t->ctl_ok(qw(checkpoint list)), '', 'an older store has none');
    $t->run_nginx;
    is(put($one, 2)->{status}, 201, 'and gets them');
    ok($t->verify, 'and is well');
}

done_testing();
