#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Whatever is asked, nothing is answered by a 5xx, by silence, or by an empty
# 200 to a cursor that is not honest.  Random, but repeatable: the seed is
# printed, ES_FUZZ_SEED sets it, ES_FUZZ_ROUNDS says how many requests.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $seed = $ENV{ES_FUZZ_SEED} // time;
my $rounds = $ENV{ES_FUZZ_ROUNDS} // 4000;
srand $seed;
note("ES_FUZZ_SEED=$seed");

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_) for 'orders', 'empty', 'other', 'paged', 'states';
my $key = $t->master_key;
$t->default_conf(location => 'eventsync_poll_limit 5 50; eventsync_sse on; '
    . 'eventsync_backfill on; eventsync_snapshot on; eventsync_pages on; '
    . 'eventsync_checkpoints on; eventsync_catalogue on; '
    . 'eventsync_poll_wait_max 1s; eventsync_cors https://a.example;',
    server => 'large_client_header_buffers 4 16k;');
$t->run_nginx;

# Of each feed its epoch, and the sequences that a cursor may have.
my %feeds;

sub know {
    my ($feed) = @_;
    my $now = $t->json_get("/v1/feeds/$feed", $key);
    my ($epoch, $oldest) = $now->{oldest} =~ /^(.*)-(\d+)$/;
    my ($latest) = $now->{latest} =~ /-(\d+)$/;
    $feeds{$feed} = { epoch => $epoch, oldest => $oldest, latest => $latest };
    return "$oldest $latest";
}

$t->publish('orders', map { { id => "o$_", $_ % 3 ? () : (subject => "s$_"),
    type => $_ % 2 ? 'a.b' : 'a.c' } } 1 .. 60);
$t->publish('paged', map { {} } 1 .. 350);
know($_) for 'orders', 'empty', 'other', 'paged';
my $epoch = $feeds{orders}{epoch};
my $other = $feeds{other}{epoch};
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-21");
$t->ctl_ok('feed', 'trim', 'paged', "--before=$feeds{paged}{epoch}-151");
is(know('orders'), '20 60', 'a feed with a beginning and an end');
is(know('paged'), '150 350', 'one with a page that is full, and one that is not');

# What each page of a snapshot gives to go on with, and the events that are
# behind it then.
sub tokens {
    my ($feed, $tombstones) = @_;
    my ($page, @pages, @events) = '';

    while (defined $page) {
        my $doc = $t->json_get("/v1/feeds/$feed/snapshot?limit=3"
            . "&tombstones=$tombstones" . ($page && "&page=$page"), $key)
            or die "no snapshot of $feed\n";
        push @events, map { $_->{cursor} } @{ $doc->{events} };
        $page = $doc->{next};
        push @pages, [ $page, scalar @events ] if defined $page;
    }
    return map { $_->[0] => { feed => $feed, tombstones => $tombstones,
        events => [ @events[$_->[1] .. $#events] ] } } @pages;
}

sub states {
    my ($from, $to) = @_;
    $t->publish('states', map { { id => "s$_", subject => 'of-' . $_ % 12,
        type => $_ % 5 ? 'a.b' : 'a.deleted' } } $from .. $to);
}

states(1, 20);
my %gone = (tokens('states', 0), tokens('states', 1));
states(21, 40);
my %tokens = map { tokens(@$_) } [ 'states', 0 ], [ 'states', 1 ],
    [ 'orders', 0 ], [ 'orders', 1 ];
know('states');
$t->ctl_ok('feed', 'trim', 'states', "--before=$feeds{states}{epoch}-31");
is(know('states'), '30 40', 'one with a state, and pages of it that are gone');
ok(keys %gone > 4 && keys %tokens > 10, 'many pages');

# In the order of their names with a '/' behind them.
my @types = sort { "$a/" cmp "$b/" } 'a', 'a.b', 'a.b.c', 'b-1', 'order.created', 'order.updated';
$t->ctl_ok({ stdin => '{}' }, qw(type register), $_, '1.0.0') for @types;

# The positions in the list of types, each with the type that it is behind.
my (%behind_type, $position);
do {
    my $page = Test::Eventsync::json($t->http(GET => '/v1/event-types?limit=1'
        . (defined $position ? "&after=$position" : ''),
        { authorization => "Bearer $key" })->{body});
    $position = $page->{next};
    $behind_type{$position} = $page->{types}[0]{type} if defined $position;
} while (defined $position);

###############################################################################
# what is asked

sub pick { return $_[rand @_] }
sub bytes { return join '', map { chr(33 + int rand 223) } 1 .. rand $_[0] }

sub number {
    return pick(0, 1, 19, 20, 21, 59, 60, 61, 5, 50, 51, -1, '', '00', '020',
        '+20', '1e1', '0x14', 4294967296, 1099511627775, 1099511627776,
        9223372036854775807, 9223372036854775808, 18446744073709551615,
        '18446744073709551636', int rand 100, '9' x rand 400);
}

sub cursor {
    my ($feed) = @_;
    my $of = $feeds{$feed};
    return "$of->{epoch}-" . ($of->{oldest}
        + int rand 1 + $of->{latest} - $of->{oldest}) if rand() < 0.4;
    my $e = pick(($of->{epoch}) x 5, $other, uc $epoch, "$epoch$epoch",
        substr($epoch, 1), '', 'a' x 15, 'a' x 16, bytes(12));
    my $at = pick($of->{oldest} - 1, $of->{latest} + 1);
    return pick("$e-" . number(), ("$e-$at") x 3, $e, "-$e",
        "$e-" . number() . '-1', "$e--1", "$e-20\0", "$e-20 ", "$e -20",
        "$e\x{ef}\x{bc}\x{8d}20");
}

# Text that is nearly another: a byte of it changed, left out, put in, or
# what is before or behind it swapped with that of a second one.
sub mutated {
    my ($text, $second) = @_;
    my $at = int rand length $text;

    for (1 .. pick(1, 1, 2)) {
        my $how = int rand 7;
        $at = int rand 1 + length $text;
        substr $text, $at, 1, pick('a' .. 'z', 'A' .. 'Z', 0 .. 9, '.', '-',
            '_', '=', '/', "\0") if $how == 0 && $at < length $text;
        substr $text, $at, 1, '' if $how == 1 && $at < length $text;
        substr $text, $at, 0, pick('.', '=', 'A', '0', bytes(4)) if $how == 2;
        $text = substr $text, 0, $at if $how == 3;
        $text .= bytes(9) if $how == 4;
        $text = join '.', map { pick(@$_) } pairs($text, $second)
            if $how == 5;
        $text = rand() < 0.5 ? $text =~ tr/a-z/A-Z/r : "$text$second"
            if $how == 6;
    }
    return $text;
}

sub pairs {
    my @parts = map { [ split /\./, $_, -1 ] } @_;
    return map { [ $parts[0][$_] // '', $parts[1][$_] // '' ] } 0 .. 2;
}

sub token {
    my $token = pick(keys %tokens);
    return $token if rand() < 0.4;
    return pick(keys %gone) if rand() < 0.35;

    # the same bytes in base64, written otherwise
    return $token =~ s/\.(.*)(.)\./".$1" . pick('=', "$2=", "$2==", "$2=x",
        chr 1 + ord $2, chr -1 + ord $2) . '.'/er if rand() < 0.2;
    return mutated($token, pick(keys %tokens, keys %gone));
}

# What a time looks like, and what only nearly does.
sub moment {
    return pick('oldest', 'latest', '2026-01-01T00:00:00Z',
        '2999-12-31T23:59:60.999999999+23:59', '0000-00-00T00:00:00Z', 'now',
        bytes(20));
}

sub value {
    my ($feed, $name) = @_;
    return pick(cursor($feed), number(), bytes(40)) if rand() < 0.1;
    return cursor($feed) if $name =~ /after/i;
    return rand() < 0.6 ? cursor($feed) : moment() if $name eq 'to';
    return rand() < 0.4 ? cursor($feed) : moment() if $name eq 'from';
    return pick(0, 0, 0, 0, number()) if $name eq 'wait';
    return rand() < 0.5 ? 1 + int rand 50 : number() if $name eq 'limit';
    return pick(0, 1, 0, 1, 2, '', 'true', bytes(4)) if $name eq 'tombstones';
    return token() if $name eq 'page';
    return pick('a.*', '*', 'a.b', 'a.b,a.c', ',', 'a*', '.*', 'none',
        join(',', map { "t$_" } 1 .. rand 40), bytes(20)) if $name eq 'types';
    return pick('s3', '', bytes(30), 'x' x rand 3000);
}

# Percent-encoded wholly, in part, wrongly, or not at all.
sub encoded {
    my ($text) = @_;
    my $how = rand;

    $text =~ s/([^A-Za-z0-9._~:*,-])/sprintf '%%%02X', ord $1/ges
        if $how < 0.7;
    $text =~ s/(.)/rand() < 0.3 ? sprintf '%%%02x', ord $1 : $1/ges
        if $how > 0.5 && $how < 0.7;
    $text =~ s/[\0- \x7f#]/?/g;
    substr $text, rand 1 + length $text, 0, pick('%', '%%', '%0', '%zz', '+',
        '%00', '&', '=', ';') if rand() < 0.1;
    return $text;
}

# Parameters that the resource has, mostly, and a few that it has not; often
# the first alone, of which nothing else spoils what is said.
sub query {
    my ($feed, @names) = @_;
    my @args;

    return "$names[0]=" . encoded(value($feed, $names[0])) if rand() < 0.25;
    for (1 .. pick(0, 1, 1, 1, 2, 2, 3, 4)) {
        my $name = rand() < 0.03 ? encoded(bytes(9))
            : rand() < 0.03 ? pick('After', 'after[]', 'next') : pick(@names);
        push @args, rand() < 0.03 ? $name
            : "$name=" . encoded(value($feed, $name));
    }
    return join pick('&', '&', '&', '&&', ';'), @args;
}

sub headers {
    my ($formats, @more) = @_;
    my $text = sub { my $v = pick(@_); $v =~ tr/\0\r\n//d; $v };
    my @headers = (authorization => rand() < 0.97 ? "Bearer $key"
        : $text->("Bearer $key x", 'Bearer', bytes(80), "bearer  $key"));
    push @headers, accept => $text->('application/x-ndjson', '*/*;q=0.1',
        'application/cloudevents-batch+json', 'text/event-stream',
        'application/json;q=' . number(), 'text/event-stream;q=0.' . number(),
        bytes(60), join(',', map { pick('a/b', '*/*', 'application/*') . ';q=0.'
            . int rand 999 } 1 .. rand 50)) if rand() < $formats;
    push @headers, 'if-none-match' => $text->('*', '"x"', 'W/', '"', ',',
        bytes(60), '"0123456789abcdef"') if rand() < 0.2;
    push @headers, pick('if-match', 'if-unmodified-since', 'if-modified-since')
        => $text->('*', '"x"', 'Thu, 01 Jan 1970 00:00:00 GMT', bytes(20))
        if rand() < 0.1;
    push @headers, origin => $text->('https://a.example', bytes(20))
        if rand() < 0.1;

    # nginx refuses a field that is there twice
    my %more = @more;
    return [ (map { exists $more{ $headers[$_] } ? () : @headers[$_, $_ + 1] }
        grep { $_ % 2 == 0 } 0 .. $#headers), @more ];
}

# Each of these: method, path, header fields, body, and what else its judge
# wants to know.

sub events {
    my $feed = pick(('orders') x 8, 'empty');
    my $id = pick(cursor($feed), cursor($feed), bytes(30)) =~ tr/\0\r\n//dr;
    my $stream = rand() < 0.15;
    return { feed => $feed, path => "$feed/events", query => query($feed,
        $stream ? qw(after from types) : qw(after after after from limit wait
        types subject)), headers => headers($stream ? 0 : 0.4,
        $stream ? (accept => 'text/event-stream') : (),
        rand() < ($stream ? 0.7 : 0.2) ? ('last-event-id' => $id) : ()) };
}

sub backfill {
    my $feed = pick(('orders') x 8, 'empty');
    return { feed => $feed, path => "$feed/backfill", query => query($feed,
        qw(after after from from to to types subject)),
        headers => headers(0.1) };
}

sub manifest {
    my $feed = pick(('orders') x 8, 'empty');
    return { feed => $feed, path => "$feed/manifest", query => query($feed,
        qw(after after from from to to)), headers => headers(0.1) };
}

sub snapshot {
    my $feed = pick(('states') x 4, 'orders', 'empty');
    return { feed => $feed, path => "$feed/snapshot", query => query($feed,
        qw(page page page limit tombstones tombstones)),
        headers => headers(0.1) };
}

sub pages {
    my $of = $feeds{paged};
    my $e = pick(($of->{epoch}) x 6, $epoch, uc $of->{epoch}, '',
        mutated($of->{epoch}, $other), bytes(9));
    my $n = pick(1 .. 6, 3, 4, 'head', 'HEAD', number(), bytes(9));
    return { feed => 'paged', e => $e, n => $n, query => '',
        path => 'paged/pages/' . join('/', map { segment($_) } $e, $n),
        headers => headers(0.1, rand() < 0.2 ? ('accept-encoding' =>
            'identity;q=' . pick(0, 1, number())) : ()) };
}

# A segment of a path as it arrives: nginx takes away what leads nowhere.
sub segment {
    my ($text) = @_;
    $text =~ s/([^A-Za-z0-9_~-])/sprintf '%%%02X', ord $1/ges;
    return $text =~ /%00|%2F/ ? 'x' : $text;
}

sub checkpoint {
    my $feed = pick(('orders') x 8, 'empty');
    my $coder = JSON::PP->new->canonical->allow_nonref;
    my %body = (cursor => rand() < 0.8 ? cursor($feed) : pick(undef, 1, [], {},
        JSON::PP::true, bytes(20)), rand() < 0.6 ? (rewind => rand() < 0.9
        ? JSON::PP::true : pick(1, 'true', undef, JSON::PP::false)) : ());
    $body{ bytes(5) } = 1 if rand() < 0.05;
    my $body = $coder->encode(rand() < 0.95 ? \%body : pick([ \%body ], 'x', 1));
    $body = mutated($body, pick('}', ']', '{"cursor":"a-0"}')) if rand() < 0.3;
    return { feed => $feed, method => 'PUT', body => $body, query => '',
        path => "$feed/checkpoints/" . pick('one', 'two', 'two', 'x' x 63),
        headers => headers(0.1, 'content-type' => 'application/json',
            rand() < 0.1 ? ('if-match' => pick('*', '"x"', ',')) : ()) };
}

sub catalogue {
    my $query = query('orders', 'limit');
    my @positions = sort keys %behind_type;
    my $after = rand() < 0.5 ? pick(@positions) : rand() < 0.5
        ? mutated(pick(@positions), pick(@positions)) : pick('', 'zz', '0', @types,
        bytes(30), 'a' x rand 300);
    $query .= '&after=' . encoded($after) if rand() < 0.8;
    return { path => '../event-types', query => $query,
        headers => headers(0.1) };
}

###############################################################################
# what must hold

# The value that a correct reader of the query sees, or undef.
sub param {
    my ($query, $name) = @_;
    my @values;
    for (split /&/, $query) {
        next if $_ eq '';
        my ($n, $v) = split /=/, $_, 2;
        $v //= '';
        $v =~ tr/+/ / unless $n eq 'from' || $n eq 'to';
        $v =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
        push @values, $v if $n eq $name;
    }
    return @values == 1 ? $values[0] : @values ? "twice" : undef;
}

# Its sequence, if the feed has such a cursor.
sub honest {
    my ($feed, $cursor) = @_;
    my $of = $feeds{$feed};

    return ($cursor // '') =~ /\A\Q$of->{epoch}\E-(0|[1-9][0-9]{0,3})\z/
        && $1 >= $of->{oldest} && $1 <= $of->{latest} ? $1 : undef;
}

sub sequences { return join ',', map { /-(\d+)\z/ } @_ }

# Nothing but what is well-formed: no other parameters than these, each once,
# and each `limit` and `tombstones` in its bounds.
sub plain {
    my ($query, %names) = @_;
    for (grep { $_ ne '' } split /&/, $query) {
        my ($name, $value) = /\A([a-z]+)=([^%+;=]*)\z/ or return 0;
        return 0 unless delete $names{$name};
        return 0 if $name eq 'limit' && $value !~ /\A(?:[1-9]|[1-4]\d|50)\z/;
        return 0 if $name eq 'wait' && $value ne '0';
        return 0 if $name eq 'tombstones' && $value !~ /\A[01]\z/;
    }
    return 1;
}

# What is wrong with an answer of any of them, or nothing.
sub fault {
    my ($req, $answer) = @_;
    my $status = $answer->{status};

    return 'no answer' if !$status;
    return "status $status" if $status >= 500
        || !grep { $status == $_ } 200, 201, 304, 400, 401, 404, 406, 409, 410,
            412;
    return problem_fault($req, $answer) if $status >= 400;
    return $req->{judge}->($req, $answer);
}

sub problem_fault {
    my ($req, $answer) = @_;
    my ($status, $headers) = @{$answer}{qw(status headers)};
    my $doc = Test::Eventsync::json($answer->{body});

    return 'no problem' if $headers->{'content-type'} ne 'application/problem+json';
    return 'a malformed problem' if !$doc || ($doc->{status} // 0) != $status
        || !$doc->{type} || !$doc->{detail};
    return 'no no-store' if ($headers->{'cache-control'} // '') ne 'no-store';
    return "restart leads to $_" for grep { $_ != 200 } map {
        $t->http(GET => $_, { authorization => "Bearer $key" })->{status} }
        grep { defined && !/wait=/ } $doc->{restart};
    return "$status to what is honest: $doc->{detail}"
        if $status != 401 && $status != 406 && $req->{fine}
        && $req->{fine}->($req);
    return;
}

# A place that a range or poll begins at: what may be said of it, its sequence
# if that is known.
sub place_fault {
    my ($req, $name) = @_;
    my $value = param($req->{query}, $name) // return;

    return if $name ne 'after' && $value
        =~ /\A(?:oldest|latest|\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:.*)\z/s;
    return "an answer to the cursor '$value'"
        if !defined honest($req->{feed}, $value);
    return;
}

sub after_of {
    my ($req, $name) = @_;
    my $value = param($req->{query}, $name // 'after');
    return defined $value ? honest($req->{feed}, $value) : undef;
}

sub filtered {
    my ($req) = @_;
    return grep { defined param($req->{query}, $_) } 'types', 'subject';
}

sub events_fine {
    my ($req) = @_;
    my %headers = @{ $req->{headers} };
    return !$headers{accept} && defined after_of($req)
        && plain($req->{query}, map { $_ => 1 } qw(after limit wait));
}

sub events_fault {
    my ($req, $answer) = @_;
    my ($feed, $query) = @{$req}{qw(feed query)};
    my ($status, $type) = ($answer->{status}, $answer->{headers}{'content-type'});
    my %headers = @{ $req->{headers} };
    my $after = param($query, 'after');

    if (($type // '') eq 'text/event-stream') {
        my $id = ($headers{'last-event-id'} // '') =~ s/\A[ \t]+|[ \t]+\z//gr;
        $after = $id if $id ne '';
        return defined $after ? stream_fault($req, $answer, $after) : undef;
    }
    my $at = defined $after ? honest($feed, $after) : undef;
    return "$status to the cursor '$after'" if defined $after && !defined $at;
    return if $status == 304;

    my $next = $answer->{headers}{'eventsync-next'};
    my ($doc, @cursors);
    if ($type eq 'application/json') {
        $doc = Test::Eventsync::json($answer->{body}) or return 'no JSON';
        $next = $doc->{next};
        @cursors = map { $_->{cursor} } @{ $doc->{events} };
    } else {
        @cursors = $answer->{body} =~ /"cursor":"([^"]+)"/g;
    }
    return 'no next' if !defined $next;
    return "next is '$next'" if !defined honest($feed, $next);

    my $limit = param($query, 'limit') // 5;
    return 'a page with more than were asked for' if @cursors > $limit;
    return 'events that are not after the cursor' if defined $at
        && grep { !(honest($feed, $_) // 0 > $at) } @cursors;
    return if !defined $at || filtered($req);
    my $last = $at + $limit < $feeds{$feed}{latest} ? $at + $limit
        : $feeds{$feed}{latest};
    return 'not the events behind the cursor'
        if sequences(@cursors) ne join ',', $at + 1 .. $last;
    return;
}

# Of a stream, its first event has been read.
sub stream_fault {
    my ($req, $answer, $after) = @_;
    my $at = honest($req->{feed}, $after);

    return $answer->{first}->() eq 'end' ? undef
        : "a stream from the cursor '$after'" if !defined $at;
    return if filtered($req) || $at == $feeds{ $req->{feed} }{latest};
    return 'a stream that does not go on after its cursor'
        if ($answer->{first}->() // '') !~ /-@{[ $at + 1 ]}\z/;
    return;
}

sub range_fine {
    my ($req) = @_;
    my ($after, $to) = (after_of($req), after_of($req, 'to'));
    return plain($req->{query}, after => 1, to => 1) && defined $after
        && (defined $to ? $to >= $after : !defined param($req->{query}, 'to'));
}

# That what was answered is the range that was asked for.
sub range_fault {
    my ($req, $from, $to) = @_;
    my $of = $feeds{ $req->{feed} };
    my ($first, $last) = map { honest($req->{feed}, $_ // '') } $from, $to;

    return "no range from $from to $to"
        if !defined $first || !defined $last || $first > $last;
    for my $name (qw(after from to)) {
        my $fault = place_fault($req, $name);
        return $fault if $fault;
        my $at = after_of($req, $name) // next;
        return "$name is $at, and $first to $last is answered"
            if $at != ($name eq 'to' ? $last : $first);
    }
    return 'it ends before the feed does' if !defined param($req->{query}, 'to')
        && $last != $of->{latest};
    return;
}

sub manifest_fault {
    my ($req, $answer) = @_;
    my $doc = Test::Eventsync::json($answer->{body}) or return 'no JSON';
    my $fault = range_fault($req, @{$doc}{qw(from to)});

    return $fault if $fault;
    my ($first, $last) = map { /-(\d+)\z/ } @{$doc}{qw(from to)};
    return "a count of $doc->{count}" if $doc->{count} != $last - $first;
    return 'a digest that stays' if ($doc->{digest} eq $doc->{digest_from})
        != ($first == $last);
    return;
}

sub backfill_fault {
    my ($req, $answer) = @_;
    my %h = %{ $answer->{headers} };
    my @lines = split /\n/, $answer->{body};
    my $fault = range_fault($req, @h{qw(eventsync-from eventsync-to)});

    return $fault if $fault;
    my $closing = Test::Eventsync::json(pop @lines // '') or return 'no last line';
    return 'incomplete' if !$closing->{manifest}{complete};
    my ($first, $last) = map { /-(\d+)\z/ } @h{qw(eventsync-from eventsync-to)};
    my @cursors = map { /"cursor":"([^"]+)"/ } @lines;
    return 'not the events of the range' if !filtered($req)
        && sequences(@cursors) ne join ',', $first + 1 .. $last;
    return 'events beyond the range' if grep { $_ <= $first || $_ > $last }
        split /,/, sequences(@cursors);
    return;
}

sub snapshot_fine {
    my ($req) = @_;
    my $page = param($req->{query}, 'page');
    my $of = defined $page ? $tokens{$page} : undef;
    return plain($req->{query}, map { $_ => 1 } qw(page limit tombstones))
        && (!defined $page || ($of && $of->{feed} eq $req->{feed}
            && $of->{tombstones} eq (param($req->{query}, 'tombstones') // 0)));
}

# A page is known by its text, and that is one and the same.
sub snapshot_fault {
    my ($req, $answer) = @_;
    my $page = param($req->{query}, 'page');
    my $tombstones = param($req->{query}, 'tombstones') // 0;
    my $doc = Test::Eventsync::json($answer->{body}) or return 'no JSON';

    return "a cursor '$doc->{cursor}'"
        if !defined honest($req->{feed}, $doc->{cursor});
    return if !defined $page;
    my $of = $tokens{$page} or return "a page that nobody was given: $page";
    return 'a page of another feed' if $of->{feed} ne $req->{feed};
    return 'a page that is with tombstones, or without'
        if $of->{tombstones} ne $tombstones;
    my @events = grep { defined honest($req->{feed}, $_)
        && !/-$feeds{ $req->{feed} }{oldest}\z/ } @{ $of->{events} };
    my $limit = param($req->{query}, 'limit') // 5;
    splice @events, $limit if @events > $limit;
    return 'another state' if join(',', map { $_->{cursor} } @{ $doc->{events} })
        ne join ',', @events;
    return;
}

sub pages_fine {
    my ($req) = @_;
    my %headers = @{ $req->{headers} };
    return !$headers{'accept-encoding'} && $req->{e} eq $feeds{paged}{epoch}
        && $req->{n} =~ /\A(?:3|4|head)\z/;
}

sub pages_fault {
    my ($req, $answer) = @_;
    my $n = $req->{n} eq 'head' ? 4 : $req->{n};

    return "an answer to page $req->{e}/$n"
        if $req->{e} ne $feeds{paged}{epoch} || $n !~ /\A[34]\z/;
    return if $answer->{status} == 304;
    my $doc = Test::Eventsync::json($answer->{body}) or return 'no JSON';
    my $last = $n * 100 < $feeds{paged}{latest} ? $n * 100
        : $feeds{paged}{latest};
    return 'not the events of the page'
        if sequences(map { $_->{cursor} } @{ $doc->{events} })
        ne join ',', $n * 100 - 99 .. $last;
    return;
}

sub body_of {
    my ($req) = @_;
    my $doc = Test::Eventsync::json($req->{body});
    return ref $doc eq 'HASH' && defined $doc->{cursor} ? $doc : {};
}

sub checkpoint_fine {
    my ($req) = @_;
    my ($doc, %headers) = (body_of($req), @{ $req->{headers} });
    return $req->{body} =~ /\A\{"cursor":"[^"]*","rewind":true\}\z/
        && !grep({ /^if-/ } keys %headers)
        && defined honest($req->{feed}, $doc->{cursor});
}

sub checkpoint_fault {
    my ($req, $answer) = @_;
    my $cursor = body_of($req)->{cursor};
    my $doc = Test::Eventsync::json($answer->{body}) or return 'no JSON';

    return "a checkpoint by $req->{body}"
        if !defined $cursor || !defined honest($req->{feed}, $cursor);
    return "moved to $doc->{cursor}" if $doc->{cursor} ne $cursor;
    return;
}

sub catalogue_fine {
    my ($req) = @_;
    my $after = param($req->{query}, 'after');
    return plain($req->{query}, after => 1, limit => 1)
        && (!defined $after || exists $behind_type{$after});
}

sub catalogue_fault {
    my ($req, $answer) = @_;
    return if $answer->{status} == 304;
    my $doc = Test::Eventsync::json($answer->{body}) or return 'no JSON';
    my $after = param($req->{query}, 'after');
    return "an answer to the position '$after'"
        if defined $after && !exists $behind_type{$after};
    $after = defined $after ? $behind_type{$after} : '';
    my $limit = param($req->{query}, 'limit') // 100;
    my @behind = grep { $after eq '' || "$_/" gt "$after/" } @types;
    my $next = @behind > $limit ? $behind[$limit - 1] : undef;
    splice @behind, $limit if @behind > $limit;

    return 'not the types behind it'
        if "@behind" ne join ' ', map { $_->{type} } @{ $doc->{types} };
    return 'another next'
        if (defined $doc->{next} ? $behind_type{ $doc->{next} } // '' : '')
            ne ($next // '');
    return;
}

###############################################################################

my @kinds = (
    [ 10, \&events, \&events_fault, \&events_fine ],
    [ 3, \&backfill, \&backfill_fault, \&range_fine ],
    [ 3, \&manifest, \&manifest_fault, \&range_fine ],
    [ 4, \&snapshot, \&snapshot_fault, \&snapshot_fine ],
    [ 3, \&pages, \&pages_fault, \&pages_fine ],
    [ 2, \&checkpoint, \&checkpoint_fault, \&checkpoint_fine ],
    [ 1, \&catalogue, \&catalogue_fault, \&catalogue_fine ],
);
my @weighted = map { ($_) x $_->[0] } @kinds;
my $sock;

# The answer; of a stream its head, and a way to read the id of its first event
# after its position, or that it is at its end.
sub answer_of {
    my ($req, $path) = @_;
    my ($method, $headers) = @{$req}{qw(method headers)};
    my %headers = @$headers;

    if ($req->{judge} == \&events_fault
        && ($headers{accept} // '') =~ m{text/event|\*})
    {
        my $call = $t->http_start($method => $path, $headers);
        my $end = $call->{began} + 20;
        my $head = Test::Eventsync::read_until($call, "\r\n\r\n", $end) // '';

        if ($head !~ m{^Content-Type: text/event-stream}m) {
            $call->{buf} = "$head\r\n\r\n$call->{buf}";
            return $t->http_end($call);
        }
        return { status => ($head =~ m{^HTTP/1.1 (\d+)})[0], body => '',
            headers => { 'content-type' => 'text/event-stream' },
            first => sub {
                my $told = sub { Test::Eventsync::read_until($call, "\ndata:",
                    $end) // '' };
                my $text = $told->();
                return 'end' if $text =~ /\nevent: end\z/;
                return '' if $text !~ /\nevent: position\nid: \S+\z/;
                return $told->() =~ /\nid: (\S+)\z/ ? $1 : '';
            } };
    }

    $sock = undef if $sock && !$sock->connected;
    $sock //= $t->socket;
    my $answer = $t->http($method => $path, $headers, $req->{body},
        socket => $sock);
    $sock = undef if !$answer->{status}
        || ($answer->{headers}{connection} // '') eq 'close';
    return $answer;
}

my (%count, @faults);
for my $round (1 .. $rounds) {
    my (undef, $ask, $judge, $fine) = @{ pick(@weighted) };
    my $req = { method => 'GET', %{ $ask->() }, judge => $judge,
        fine => $fine };
    my $path = ("/v1/feeds/$req->{path}" =~ s{/feeds/\.\./}{/}r)
        . ($req->{query} ne '' ? "?$req->{query}" : '');
    my $answer = answer_of($req, $path);
    my ($of) = $path =~ m{^/v1/(?:feeds/\w+/)?([\w-]+)};

    $count{"$of $answer->{status}"}++;
    my $fault = fault($req, $answer) or next;
    my @headers = @{ $req->{headers} };
    push @faults, "$fault: $req->{method} $path " . ($req->{body} // '') . ' '
        . join ' ', map { $_ // '' } @headers[2 .. $#headers];
    last if @faults > 5;
}

diag("ES_FUZZ_SEED=$seed: $_") for @faults;
is(scalar @faults, 0, "$rounds requests, each with an honest answer");
note(join ', ', map { "$_: $count{$_}" } sort keys %count);
ok($count{$_}, "some were $_") for 'event-types 200', 'event-types 400',
    map({ ("$_ 200", "$_ 400", "$_ 410") }
    qw(events backfill manifest snapshot checkpoints)),
    'pages 200', 'pages 404', 'pages 410';

is($t->poll('orders', after => "$epoch-20", limit => 50)->{events}[0]{cursor},
    "$epoch-21", 'and all is well afterwards');

done_testing();
