#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Retention without a dispatcher: who publishes applies it, in every way in.
# Where nobody publishes it is said since when nobody has.  What is deleted is
# counted, whoever deletes it.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('ctl', retain_count => 100)
    ->feed('http', retain_count => 100)->feed('bytes', retain_bytes => 20_000)
    ->feed('age', retain_age => '1m')->feed('idle', retain_age => '1m')
    ->feed('free');
my $key = $t->master_key;
$t->default_conf;
$t->run_nginx;

sub show { return Test::Eventsync::json($t->ctl_ok('feed', 'show', $_[0])) }
sub lines { return join '', map { $t->event(@_) . "\n" } 1 .. shift }
sub ctl_publish {
    my ($feed, $n, %env) = @_;
    my ($rc, undef, $err) = $t->ctl({ stdin => lines($n), env => \%env },
        'publish', $feed);
    is($rc, 0, "$n events for $feed");
    return $err;
}

# by eventsyncctl, and so by the C library

my $err = ctl_publish('ctl', 10_000);
my $feed = show('ctl');
cmp_ok($feed->{events}, '<=', 200, 'a feed of 100 never has many more');
cmp_ok($feed->{events}, '>=', 100, 'nor fewer');
like($feed->{latest}, qr/-10000$/, 'the newest are there');
like($err, qr/^eventsyncctl: deleted \d+ events of feed "ctl": retention by count$/m,
    'the command says what it has deleted, of which feed, and why');
my $told = 0;
$told += $_ for $err =~ /deleted (\d+) events/g;
is($told, 10_000 - $feed->{events}, 'all of it');

my $most = 0;
for (1 .. 30) {
    ctl_publish('ctl', 10);
    my $n = show('ctl')->{events};
    $most = $n if $n > $most;
}
cmp_ok($most, '<=', 200, 'small commits keep to that');

# by HTTP

is($t->publish('http', map { {} } 1 .. 250)->{status}, 201, 'a request');
is(show('http')->{events}, 100, 'by a worker, too');
$t->publish('http', {}) for 1 .. 110;
cmp_ok(show('http')->{events}, '<=', 200, 'event by event');
ok(wait_for(sub { $t->read_file('error.log')
    =~ /\[notice\] .*eventsync deleted 150 events of feed "http": retention by count/ }),
    'its log says so');

is($t->publish('bytes', map { { data => 'x' x 1000 } } 1 .. 100)->{status}, 201,
    'events of a feed that is limited by bytes');
cmp_ok(show('bytes')->{bytes}, '<=', 40_000, 'it keeps to them');

is($t->publish('free', map { {} } 1 .. 500)->{status}, 201, 'events');
is(show('free')->{events}, 500, 'a feed without limits keeps all');
ok($t->verify, 'the store is whole');

# by age

SKIP: {
    skip 'needs faketime', 16 unless $lib;
    skip 'not under a sanitizer', 16 if $t->sanitized;

    ctl_publish($_, 3, LD_PRELOAD => $lib, FAKETIME => '-1h') for qw(age idle);
    for my $name (qw(age idle)) {
        my $since = show($name)->{retention_overdue_since};
        like($since, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
            "it is said since when nobody has applied the limits of $name");
        is($t->json_get("/v1/feeds/$name", $key)->{retention}{overdue_since},
            $since, 'by the API');
    }
    my $metric = sub { $t->http(GET => '/ops/metrics')->{body} =~
        /^eventsync_feed_retention_overdue_seconds\{feed="$_[0]"\} (\S+)/m; $1 };
    cmp_ok($metric->('age'), '>', 3500, 'and by a metric');

    is($t->publish('age', {})->{status}, 201, 'the next event');
    is(show('age')->{events}, 1, 'takes the old ones away');
    is(show('age')->{retention_overdue_since}, undef, 'and nothing is overdue');
    is_deeply($t->json_get('/v1/feeds/age', $key)->{retention},
        { count => undef, bytes => undef, seconds => 60 }, 'nor for the API');
    is($metric->('age'), '0.000', 'nor for the metric');
    ok(show('idle')->{retention_overdue_since}, 'but for the other feed');
    unlike($t->http(GET => '/ops/metrics')->{body}, qr/overdue.*"free"/,
        'a feed without limits has no such metric');
    ok($t->verify, 'the store is whole');
}

# by commands

sub told {
    my ($rc, $out, $err) = $t->ctl(@_);
    return "$rc $out$err";
}
$feed = show('free');
is(told('feed', 'trim', 'free', "--before=$feed->{epoch}-101"),
    qq(0 eventsyncctl: deleted 100 events of feed "free": trim\n), 'a trim');
is(told('feed', 'trim', 'free', "--before=$feed->{epoch}-101"),
    qq(0 eventsyncctl: note: the feed has no event before "$feed->{epoch}-101"\n),
    'that has nothing to do');
like(told('feed', 'reset', 'free'),
    qr/^0 \w+\neventsyncctl: deleted 400 events of feed "free": reset\n\z/,
    'a reset');
ctl_publish('free', 7);
is(told('feed', 'remove', 'free'),
    qq(0 eventsyncctl: deleted 7 events of feed "free": remove\n), 'a removal');

done_testing();
