#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A legal hold: whatever would delete events of a feed, or change them, is
# refused or passes over the feed, until the hold is ended.

use warnings;
use strict;

use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 1);
my $dir = $t->testdir;
my $keys = $t->write_file('keys', encode_base64('k' x 32));
chmod 0600, $keys;

$t->store_init->feed('orders', retain_count => 10)->feed('free');

my $next = 0;
sub publish {
    my ($feed, $n, %env) = @_;
    my ($rc, undef, $err) = $t->ctl({ stdin => join('', map {
        $t->event(id => 'e' . ++$next, subject => "customer/$_") . "\n" }
        1 .. $n), env => \%env }, 'publish', $feed, "--key-file=$keys");
    is($rc, 0, "$n events for $feed") or diag($err);
}

sub show { return decode_json($t->ctl_ok('feed', 'show', $_[0] // 'orders')) }
sub events { return $t->ctl_ok('tail', $_[0] // 'orders') }

sub refused {
    my ($what, $why, @command) = @_;
    my ($rc, undef, $err) = $t->ctl(@command);
    is($rc, 1, "$what is refused");
    like($err, qr/^eventsyncctl: $why/m, '... and says why');
}

publish('orders', 5);
publish('free', 5);
my $backup = "$dir/backup";
$t->ctl_ok('backup', $backup);

###############################################################################
# the commands

for my $reason ('', 'x' x 128, "a\nb") {
    my ($rc, undef, $err) = $t->ctl(qw(feed hold orders), "--reason=$reason");
    is($rc, 2, 'a bad reason');
    like($err, qr/"--reason" must be a text of 1 to 127 bytes/, '... says why');
}
is((($t->ctl(qw(feed hold none --reason=x))))[0], 1, 'no feed');
refused('a release of a feed that is not held',
    'feed "orders" is not held', qw(feed release orders));

$t->ctl_ok(qw(feed hold orders), '--reason=case 17');
is(show()->{held}{reason}, 'case 17', 'the feed is held');
like(show()->{held}{since}, qr/^20\d\d-.*Z$/, '... and since when');
is(show('free')->{held}, undef, '... and no other');
like($t->ctl_ok(qw(feed list)), qr/^orders .* bytes  \S+  held$/m,
    'the list says so');
my $since = show()->{held}{since};
$t->ctl_ok(qw(feed hold orders), '--reason=' . 'y' x 127);
is(show()->{held}{reason}, 'y' x 127, 'another reason');
is(show()->{held}{since}, $since, '... is the same hold');
$t->ctl_ok(qw(feed hold orders), '--reason=case 18');
like($t->ctl_ok(qw(audit list)), qr/ hold  feed  orders  - -> \{"reason":"case 17"\}$/m,
    'the audit has the hold');
like(($t->ctl(qw(doctor --offline)))[1], qr/feed orders is held since .*: case 18;/,
    'doctor reports it');

###############################################################################
# what deletes or changes events

my $before = events();
my $held = 'feed "orders" is held: its events stay until "feed release orders"$';
my ($first, $second) = map { decode_json($_)->{cursor} } split /\n/, $before;

refused('feed trim', $held, qw(feed trim orders), "--before=$second");
refused('feed reset', $held, qw(feed reset orders));
refused('feed remove', $held, qw(feed remove orders));
for (['--event', "--event=$first", '--feed=orders'],
    ['--subject', '--subject=customer/1', '--feed=orders'],
    ['--subject of all feeds', '--subject=customer/1'])
{
    my ($what, @args) = @$_;
    my $n = $what =~ /all/ ? 2 : 1;
    refused("erase $what", 'feed "orders" is held and has such events: nothing '
        . 'was erased$', 'erase', @args, "--expect=$n", "--key-file=$keys");
    refused("its dry run, erase $what", 'feed "orders" is held and has such '
        . 'events: nothing would be erased$', 'erase', @args, '--dry-run');
}
is(events(), $before, 'nothing was deleted or changed');
is(scalar(() = events('free') =~ /customer\/1"/g), 1, '... in no other feed');
unlike($t->ctl_ok(qw(audit list)), qr/ (?:trim|reset|remove|erase) /,
    '... and the audit has no such entry');
$t->ctl_ok(qw(erase --subject=customer/2 --feed=free --expect=1),
    "--key-file=$keys");
pass('other feeds can be erased');

SKIP: {
    my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
    skip 'no faketime', 3 if !$lib;
    $t->feed('late');
    publish('late', 1, LD_PRELOAD => $lib, FAKETIME => '+50s');
    $t->ctl_ok(qw(feed hold late --reason=x));
    my ($rc, undef, $err) = $t->ctl(qw(feed retime late));
    is($rc, 1, 'feed retime is refused');
    like($err, qr/feed "late" is held/, '... and says why');
}

# Retention, by publishers and by the dispatcher.

publish('orders', 50) for 1 .. 3;
is(show()->{events}, 155, 'a publish over the limits deletes nothing');
$t->run_dispatcher;
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /warn: feed "orders" is held: it /},
    20), 'the dispatcher says what it would have deleted');
like($t->{dispatcher}->stderr, qr/it keeps 145 events that retention would delete \(count\)/,
    '... and how much');
$t->feed('other', retain_age => '1s');
publish('other', 1);
ok(wait_for(sub { show('other')->{events} == 0 }, 30), 'it trims other feeds');
is(show()->{events}, 155, '... and not the one that is held');
is(scalar(() = $t->{dispatcher}->stderr =~ /is held/g), 1, '... and says so once');
is(show()->{retention_overdue_since}, undef, 'nobody is late');

$t->ctl_ok(qw(feed begin-epoch orders)) for 1 .. 20;
is(show()->{held}{reason}, 'case 18', 'a new epoch is held, too');
is(show()->{events}, 155, '... with all events');
ok($t->verify, 'the store is sound');

###############################################################################
# a restored store, in which the feed was not held

$t->ctl_ok('restore', $backup, "$dir/restored");
like($t->ctl_ok("--store=$dir/restored", qw(feed show orders)),
    qr/"reason": ?"case 18"/, 'a feed is held in a restored store, too');
my ($rc, undef, $err) = $t->ctl('--store=', 'restore', '--erasures=none',
    $backup, "$dir/blind");
is($rc, 0, 'a restore without the store');
like($err, qr/hold the feeds again that were held after the backup/,
    '... says that it does not know the holds');

###############################################################################
# the end

(undef, undef, $err) = $t->ctl(qw(feed release orders));
like($err, qr/retention now deletes 145 events of feed "orders"/,
    'who ends the hold is told what goes');
like($t->ctl_ok(qw(audit list)), qr/ release  feed  orders  .*case 18/,
    'the audit has the end');
ok(wait_for(sub { show()->{events} == 10 }, 30), 'retention applies again');
is(show()->{held}, undef, 'the feed is not held');
is($t->stop_dispatcher, 0, 'stop');
$t->ctl_ok(qw(feed trim orders), '--before=' . show()->{latest});
$t->ctl_ok(qw(feed reset orders));
$t->ctl_ok(qw(feed hold orders), '--reason=empty');
refused('to remove an empty feed that is held', $held, qw(feed remove orders));

###############################################################################
# a record that cannot be read deletes nothing

publish('orders', 5);
my $bytes = -s "$dir/store/log/data.mdb";
is(system($t->build . '/helper/damage', "$dir/store/log", 'feeds', 'orders'), 0,
    'the feed\'s record is damaged');
for my $command ([qw(feed trim orders), "--before=$first"],
    [qw(feed reset orders)], [qw(feed remove orders)], [qw(feed release orders)],
    [qw(feed hold orders --reason=x)],
    [qw(erase --subject=customer/1 --feed=orders --expect=1), "--key-file=$keys"])
{
    refused("@$command[0, 1]", '.*does not match its hash', @$command);
}

done_testing();
