#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Snapshot: the latest event of each subject, in pages of one moment; with the
# events after its cursor it is the state of now.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new(workers => 2);
$t->store_init;
$t->feed($_) for qw(orders empty other trimmed dead busy large);
my $key = $t->master_key;
my $reader = $t->partner_key('reader', feeds => 'orders', scopes => 'read');
my $producer = $t->partner_key('producer', publish => 'orders',
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
            eventsync_snapshot on;
        }

        location /gone/ {
            eventsync_snapshot on;
            eventsync_tombstones .gone .ended;
        }

        location /all/ {
            eventsync_snapshot on;
            eventsync_tombstones off;
        }

        location /limited/ {
            eventsync_snapshot on;
            eventsync_limit poll rate=1r/d;
        }

        location /off/ {
            eventsync_poll on;
        }
    }
}
CONF
$t->run_nginx;

sub get {
    my ($path, $k) = @_;
    $path = "/v1/feeds/$path" unless $path =~ m{^/};
    my $answer = $t->http(GET => $path,
        { authorization => 'Bearer ' . ($k // $key) });
    return ($answer, Test::Eventsync::json($answer->{body}) // {});
}

# All pages; `between` is run before each page but the first.
sub snapshot {
    my ($path, $between) = @_;
    my ($page, @events, %cursors, @pages) = ('');

    while (1) {
        my ($answer, $doc) = get($path . ($page && ($path =~ /\?/ ? '&' : '?')
            . "page=$page"));
        die "status $answer->{status}: $answer->{body}\n"
            if $answer->{status} != 200;
        push @events, @{ $doc->{events} };
        push @pages, scalar @{ $doc->{events} };
        $cursors{ $doc->{cursor} }++;
        last unless defined $doc->{next};
        $page = $doc->{next};
        die "not fit for a URL: $page\n" if $page =~ /[^A-Za-z0-9._~-]/;
        $between->() if $between;
    }
    return (\@events, [ keys %cursors ], \@pages);
}

# The latest event of each subject, from all the events of a feed.
sub latest {
    my ($events, $dead) = @_;
    my %latest = map { ($_->{subject} => $_) } grep { defined $_->{subject} }
        @$events;
    return { map { ($_ => $latest{$_}{cursor}) }
        grep { !$dead || $latest{$_}{type} !~ $dead } keys %latest };
}

sub by_subject { return { map { ($_->{subject} => $_->{cursor}) } @{ $_[0] } } }

###############################################################################
# what is in it

my @types = qw(order.created order.updated order.updated order.deleted
    order.gone);
my @hard = ('with "quotes"', "\x{e9}t\x{e9}", 'x' x 1000, 'y/z?&=', ' ',
    'x' x 999 . 'y');
sub some {
    my ($n) = @_;
    return map { { subject => 's' . int rand 200, type => $types[rand @types],
        data => { n => $_ } } } 1 .. $n;
}
$t->publish('orders', some(300)) for 1 .. 3;
$t->publish('orders', map { { subject => $_ } } @hard);
$t->publish('orders', {}, {});

{
    my ($kept, $next) = $t->poll_all('orders');
    my ($answer, $doc) = get('orders/snapshot?limit=1000');
    is($answer->{status}, 200, 'status');
    is($answer->{headers}{'content-type'}, 'application/json', 'type');
    is($answer->{headers}{'cache-control'}, 'no-store', 'not to be cached');
    is($doc->{cursor}, $next, 'the cursor to tail from');
    is($doc->{next}, undef, 'all in one page');
    is_deeply(by_subject($doc->{events}), latest($kept, qr/\.deleted$/),
        'the latest of each subject, without what is deleted');

    my ($page) = get('orders/events?limit=1000');
    my ($text) = $answer->{body} =~ /^\{"events":\[(.*)\],"cursor"/;
    my @one = split /,(?=\{"specversion")/, $text;
    is(scalar @one, scalar @{ $doc->{events} }, 'its text');
    ok(!(grep { index($page->{body}, $_) < 0 } @one),
        'is byte for byte as polled');

    my $with = (get('orders/snapshot?limit=1000&tombstones=1'))[1];
    is_deeply(by_subject($with->{events}), latest($kept),
        'with what is deleted');
    is_deeply((get('orders/snapshot?limit=1000&tombstones=0'))[1], $doc,
        'the default said');

    my $gone = (get('/gone/feeds/orders/snapshot?limit=1000'))[1];
    is_deeply(by_subject($gone->{events}), latest($kept, qr/\.(gone|ended)$/),
        'eventsync_tombstones');
    my $all = (get('/all/feeds/orders/snapshot?limit=1000'))[1];
    is_deeply(by_subject($all->{events}), latest($kept),
        'eventsync_tombstones off');

    my $head = $t->http(HEAD => '/v1/feeds/orders/snapshot?limit=1000',
        { authorization => "Bearer $key" });
    is($head->{headers}{'content-length'}, length $answer->{body}, 'HEAD');
}

{
    my (undef, $doc) = get('empty/snapshot');
    is_deeply($doc->{events}, [], 'an empty feed');
    like($doc->{cursor}, qr/-0$/, 'its cursor');
    is($doc->{next}, undef, 'no more');
}

###############################################################################
# pages

for my $query ('limit=1', 'limit=7', '', 'limit=50&tombstones=1') {
    my ($kept) = $t->poll_all('orders');
    my ($events, $cursors, $pages) = snapshot("orders/snapshot?$query");
    is(scalar @$events, scalar keys %{ by_subject($events) },
        "'$query': each subject once");
    is_deeply(by_subject($events),
        latest($kept, $query =~ /tomb/ ? undef : qr/\.deleted$/),
        "'$query': all of them");
    my ($limit) = $query =~ /limit=(\d+)/;
    ok(!(grep { $_ > ($limit || 100) } @$pages), "'$query': pages of so many");
    cmp_ok(@$pages, '>', 1, "'$query': several pages");
}

# Whatever is published meanwhile, it is of one moment.
{
    my ($before) = $t->poll_all('orders');
    my $round = 0;
    my ($events, $cursors) = snapshot('orders/snapshot?limit=20', sub {
        $t->publish('orders', some(30),
            { subject => 'new' . ++$round, type => 'order.created' });
    });
    cmp_ok($round, '>', 3, 'published between pages');
    is_deeply($cursors, [ $before->[-1]{cursor} ], 'one cursor');
    is_deeply(by_subject($events), latest($before, qr/\.deleted$/),
        'the state of that moment');

    # and with the tail it is the state of now
    my %state = map { ($_->{subject} => $_) } @$events;
    my ($tail) = $t->poll_all('orders', after => $cursors->[0]);
    for my $event (@$tail) {
        $state{ $event->{subject} } = $event;
        delete $state{ $event->{subject} } if $event->{type} =~ /\.deleted$/;
    }
    my ($now) = $t->poll_all('orders');
    is_deeply({ map { ($_ => $state{$_}{cursor}) } keys %state },
        latest($now, qr/\.deleted$/), 'followed by the tail');
}

# A page is so much work at most, and so many bytes: it may have fewer events,
# or none, and not be the last.
{
    for (1 .. 5) {
        my $round = $_;
        $t->publish('dead', map { { subject => "a$round-$_",
            type => 'order.deleted' } } 1 .. 500);
    }
    $t->publish('dead', map { { subject => "b$_" } } 1 .. 3);
    my ($events, undef, $pages) = snapshot('dead/snapshot?limit=1000');
    is_deeply($pages, [ 0, 3 ], 'two thousand subjects that are gone');
    is(scalar keys %{ by_subject($events) }, 3, 'before those that are not');

    my @subjects = map { { subject => "s$_" } } 1 .. 300;
    $t->publish('busy', @subjects);
    my $first = (get('busy/snapshot?limit=1'))[1];
    for (1 .. 15) {
        $t->publish('busy', @subjects, @subjects, @subjects);
    }
    my (undef, $doc) = get("busy/snapshot?limit=1000&page=$first->{next}");
    cmp_ok(scalar @{ $doc->{events} }, '<', 290,
        'subjects that have moved on take more work');
    ok(defined $doc->{next}, 'and this is not the last page');
    my %seen = map { %{ by_subject($_->{events}) } } $first, $doc;
    while (defined $doc->{next}) {
        $doc = (get("busy/snapshot?limit=1000&page=$doc->{next}"))[1];
        %seen = (%seen, %{ by_subject($doc->{events}) });
    }
    is(keys %seen, 300, 'all of them have all');
    is((grep { /-(\d+)$/ && $1 > 300 } values %seen), 0, 'of that moment');

    for (1 .. 7) {
        my $round = $_;
        $t->publish('large', map { { subject => "l$round-$_",
            data => 'x' x 250_000 } } 1 .. 3);
    }
    ($events, undef, $pages) = snapshot('large/snapshot?limit=1000');
    is_deeply($pages, [ 16, 5 ], 'four megabytes');
    is(scalar keys %{ by_subject($events) }, 21, 'each once');
}

# After a restart, and on every worker, the text leads on.
{
    my (undef, $doc) = get('orders/snapshot?limit=5');
    my (undef, $second) = get("orders/snapshot?limit=5&page=$doc->{next}");
    $t->stop_nginx;
    $t->run_nginx;
    is_deeply((get("orders/snapshot?limit=5&page=$doc->{next}"))[1], $second,
        'after a restart');
    my $other = (get("orders/snapshot?limit=3&page=$doc->{next}"))[1];
    is_deeply($other->{events}, [ @{ $second->{events} }[0 .. 2] ],
        'the limit may change from page to page');
}

###############################################################################
# errors

my $next = (get('orders/snapshot?limit=5'))[1]{next};
my ($epoch) = $next =~ /^([^-]+)-/;
my $cut = substr $next, 0, -1;
my $changed = $next;
substr $changed, -1, 1, $next =~ /0$/ ? '1' : '0';
my ($moved) = map { s/^(\w+-)(\d+)/$1 . ($2 - 1)/er } $next;
my @spelt = map { $next =~ s/\.(.*)\./.$1$_./r } '=', '==', '=x';

for my $case (
    [ 'orders/snapshot?after=x', 400, 'invalid-parameter', 'after' ],
    [ 'orders/snapshot?limit=0', 400, 'invalid-parameter', 'limit' ],
    [ 'orders/snapshot?limit=1001', 400, 'invalid-parameter', 'limit' ],
    [ 'orders/snapshot?limit=1&limit=1', 400, 'invalid-parameter', 'limit' ],
    [ 'orders/snapshot?tombstones=yes', 400, 'invalid-parameter',
        'tombstones' ],
    [ 'orders/snapshot?tombstones=', 400, 'invalid-parameter', 'tombstones' ],
    (map { [ "orders/snapshot?page=$_", 400, 'invalid-parameter', 'page' ] }
        '', '.', '..', 'x', "$epoch-1", "$epoch-1..", $cut, $changed, $moved,
        @spelt, "$next.", ".$next", 'A' x 3000, "$epoch-1." . 'A' x 900 . '.'
        . '0' x 16, "$epoch-1.AAAA." . '0' x 16),
    [ "orders/snapshot?tombstones=1&page=$next", 400, 'invalid-parameter',
        'page' ],
    [ "other/snapshot?page=$next", 400, 'invalid-parameter', 'page' ],
    [ 'orders/snapshot', 401, 'unauthorized', undef, 'esk_x' ],
    [ 'orders/snapshot', 403, 'forbidden', undef, $producer ],
    [ 'empty/snapshot', 404, 'not-found', undef, $reader ],
    [ 'absent/snapshot', 404, 'not-found' ],
    [ '/off/feeds/orders/snapshot', 404, 'not-found' ],
) {
    my ($path, $status, $type, $parameter, $k) = @$case;
    my ($answer, $doc) = get($path, $k);
    my $name = length $path > 60 ? substr($path, 0, 60) . '...' : $path;
    is($answer->{status}, $status, "$name: $status");
    like($doc->{type}, qr/:\Q$type\E$/, "$name: $type");
    is($doc->{parameter}, $parameter, "$name: which") if $parameter;
}

is($t->http(POST => '/v1/feeds/orders/snapshot', {}, '')->{status}, 405,
    'POST');
is($t->http(GET => '/v1/feeds/orders/snapshot', { authorization =>
    "Bearer $key", accept => 'text/html' })->{status}, 406, 'Accept');
is((get('/limited/feeds/orders/snapshot'))[0]{status}, 200, 'in the limit');
is((get('/limited/feeds/orders/snapshot'))[0]{status}, 429, 'over it');

# Retention, and a reset, between two pages.
{
    $t->publish('trimmed', map { { subject => "t$_" } } 1 .. 50);
    my (undef, $doc) = get('trimmed/snapshot?limit=5');
    $t->publish('trimmed', map { { subject => "t$_" } } 1 .. 50);
    my (undef, $new) = get('trimmed/snapshot?limit=5');
    my ($e) = $new->{cursor} =~ /^([^-]+)/;
    $t->ctl_ok('feed', 'trim', 'trimmed', "--before=$e-90");

    my ($answer, $gone) = get("trimmed/snapshot?limit=5&page=$doc->{next}");
    is($answer->{status}, 410, 'overtaken by retention');
    like($gone->{type}, qr/:cursor-expired$/, 'its type');
    is($gone->{restart}, '/v1/feeds/trimmed/snapshot?limit=5',
        'where to begin again');
    is((get($gone->{restart}))[0]{status}, 200, 'which one can');

    my ($kept) = $t->poll_all('trimmed');
    my ($events) = snapshot('trimmed/snapshot?limit=3');
    is_deeply(by_subject($events), latest($kept), 'of what is kept');

    (undef, $doc) = get('trimmed/snapshot?limit=5');
    $t->ctl_ok('feed', 'reset', 'trimmed');
    ($answer, $gone) = get("trimmed/snapshot?limit=5&page=$doc->{next}");
    is($answer->{status}, 410, 'a feed that was reset');
    like($gone->{type}, qr/:feed-reset$/, 'its type');
    is_deeply((get('trimmed/snapshot'))[1]{events}, [], 'is empty');
}

ok($t->verify, 'the store is sound');

done_testing();
