#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl export and import: the bytes of a backfill, and the same events
# in another feed or store.  A file that is not whole publishes nothing.

use warnings;
use strict;

use IO::Select;
use POSIX qw(mkfifo);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
$t->store_init->feed('orders')->feed('empty')->feed('copy');
$t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_",
    type => 'order.' . ($_ % 3 ? 'updated' : 'created'),
    $_ % 7 ? (subject => 'order/' . $_ % 5) : (),
    data => { n => $_, text => qq(","feed":"x","prevcursor":"y" \\ \x{e9}) }) . "\n" }
    1 .. 250 }, 'publish', 'orders');

sub slurp { my ($name) = @_; open my $fh, '<:raw', $name or return '';
    local $/; return <$fh> }
sub spew { my ($name, $text) = @_; open my $fh, '>:raw', $name or die $!;
    print $fh $text; close $fh; return $name }

# Lines of a feed without what the log adds.
sub bare { my ($text) = @_;
    return [map { s/,"feed":.*?"prevcursor":"[^"]*"//r }
        grep { !/^\{"manifest"/ } split /^/, $text] }
sub count { my ($feed) = @_;
    return scalar(my @lines = $t->ctl_ok('tail', $feed) =~ /\n/g) }

sub fails {
    my ($rc, $line, $name, @args) = @_;
    my ($is, $out, $err) = $t->ctl(@args);
    is($is, $rc, "$name: exit $rc");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, "$name: one line says why");
    return $out;
}

###############################################################################
# the bytes of a backfill

my $key = $t->partner_key('reader', feeds => '*');
$t->default_conf(location => 'eventsync_backfill on;', server => <<'CONF');
        location /ops/ { eventsync_metrics on; eventsync_auth off; }
CONF
$t->run_nginx;

my $feed = $t->json_get('/v1/feeds/orders', $key);
my ($epoch) = $feed->{latest} =~ /^(\w+)-/;
my $time = '2020-01-01T00:00:00Z';
for my $range ([], [from => 'oldest', to => 'latest'], [from => "$epoch-100"],
    [to => "$epoch-100"], [from => "$epoch-99", to => "$epoch-101"],
    [from => "$epoch-7", to => "$epoch-7"], [from => $time], [to => $time],
    [types => 'order.created'], [types => 'order.*', subject => 'order/3'],
    [subject => 'order/1', from => "$epoch-30"], [types => 'nothing'])
{
    my %range = @$range;
    my $out = $t->ctl_ok('export', 'orders',
        map { "--$_=$range{$_}" } sort keys %range);
    my $same = $t->http(GET => '/v1/feeds/orders/backfill?'
        . join('&', map { "$_=$range{$_}" } sort keys %range),
        { authorization => "Bearer $key" });
    is($out, $same->{body}, "export @$range");
}
is($t->ctl_ok('export', '--json', 'empty'), $t->http(
    GET => '/v1/feeds/empty/backfill', { authorization => "Bearer $key" })
    ->{body}, 'an empty feed');

fails(1, 'feed "nosuch": not found', 'no feed', 'export', 'nosuch');
fails(2, '"--from=soon" is not oldest, latest, a cursor or an RFC 3339 time',
    'a bad beginning', 'export', 'orders', '--from=soon');
fails(2, '"--to=soon" is not', 'a bad end', 'export', 'orders', '--to=soon');
fails(2, qq("--to=$epoch-5" is before "--from=$epoch-9"), 'an end before it',
    'export', 'orders', "--from=$epoch-9", "--to=$epoch-5");
fails(2, '"--types=,": ', 'a bad filter', 'export', 'orders', '--types=,');
fails(1, qq(cursor "$epoch-300": ), 'a cursor ahead', 'export', 'orders',
    "--to=$epoch-300");
fails(1, 'cursor "abcdefgh-3": ', 'one of another epoch', 'export', 'orders',
    '--from=abcdefgh-3');
{
    my $proc = $t->start('full', {}, 'sh', '-c', "exec '" . $t->build
        . "/eventsyncctl' --store '" . $t->store . "' export orders >/dev/full");
    is($proc->wait(20), 1, 'a full disk');
    is($proc->stderr, "eventsyncctl: cannot write to standard output\n",
        'one line says so');
}

###############################################################################
# and back

my $text = $t->ctl_ok('export', 'orders');
my $file = spew("$dir/orders.ndjson", $text);
is($t->ctl_ok('import', 'copy', $file),
    "imported 250 events; 0 were there already\n", 'an import');
is_deeply(bare($t->ctl_ok('export', 'copy')), bare($text),
    'the feed has the same events, in their order');
is($t->ctl_ok('import', '--json', 'copy', $file),
    qq({"imported":0,"duplicates":250}\n), 'again, and nothing is there twice');
is(count('copy'), 250, 'indeed');

$t->feed('typed');
spew($file, $t->ctl_ok('export', 'orders', '--types=order.created'));
is($t->ctl_ok('import', 'typed', $file),
    "imported 83 events; 0 were there already\n", 'an export with a filter');
spew($file, "{\"position\":{\"cursor\":\"$epoch-1\"}}\n" . $text);
is($t->ctl_ok('import', 'typed', $file),
    "imported 167 events; 83 were there already\n",
    'a backfill says how far it is, which is no event');
spew($file, $t->ctl_ok('export', 'empty'));
is($t->ctl_ok('import', 'typed', $file),
    "imported 0 events; 0 were there already\n", 'an export of nothing');

# One of each.
spew($file, $t->ctl_ok('export', 'orders', "--from=$epoch-1", "--to=$epoch-2"));
my $all = $t->{store};
$t->{store} = "$dir/one";
$t->store_init->feed('only');
is($t->ctl_ok('import', 'only', $file),
    "imported 1 event; 0 were there already\n", 'one event');
is($t->ctl_ok('import', 'only', $file),
    "imported 0 events; 1 was there already\n", 'one event twice');
is($t->ctl_ok('verify'), '1 feed, 1 event in 1 record, 0 checkpoints, 0 faults'
    . "\n", 'one feed, one event and one record');
like(($t->ctl('feed', 'reset', 'only'))[2], qr/deleted 1 event of feed "only"/,
    'one event is deleted');
$t->{store} = $all;

###############################################################################
# what is not whole publishes nothing

my @lines = split /^/, $text;
my $manifest = $lines[-1];
sub bad {
    my ($name, $why, @text) = @_;
    spew($file, join '', @text);
    $t->ctl_ok('feed', 'reset', 'typed');
    is(fails(1, "\"\Q$file\E\" is no whole export: $why; nothing was published",
        $name, 'import', 'typed', $file), '', "$name: no other word");
    is(count('typed'), 0, "$name: nothing was published");
}
bad('an empty file', 'it is cut short');
bad('no manifest', 'its last line is no manifest', @lines[0 .. 249]);
bad('a line cut short', 'it is cut short', substr $text, 0, 5000);
bad('a manifest cut short', 'it is cut short', substr $text, 0, -1);
bad('a foreign file', 'its last line is no manifest', "a,b,c\n1,2,3\n");
bad('a line that is lost', 'it has more or fewer events than its manifest',
    @lines[0 .. 99, 101 .. 250]);
bad('a line twice', 'it has more or fewer events than its manifest',
    @lines[0 .. 99, 99 .. 250]);
bad('lines in another order', 'an event was changed',
    @lines[0 .. 99, 101, 100, 102 .. 250]);
bad('a byte changed', 'an event was changed', $text =~ s/"n":77,/"n":78,/r);
bad('a byte changed in a filtered one', 'an event was changed',
    $t->ctl_ok('export', 'orders', '--types=order.created') =~ s/"n":75,/"n":76,/r);
bad('two exports', 'it has more or fewer events than its manifest', $text, $text);
bad('a manifest that is not complete', 'its manifest says that it is incomplete',
    $text =~ s/"complete":true/"complete":false/r);
bad('an error at the end', 'its last line is no manifest', @lines[0 .. 99],
    qq({"error":{"type":"x"},"next":"$epoch-100"}\n));
bad('an unknown digest', 'its manifest has no digest that this program knows',
    $text =~ s/sha256-event-chain/sha3/r);
bad('no digest', 'its last line is no manifest',
    $text =~ s/"digest":"\w+"/"digest":"12"/r);
bad('no digest before', 'its manifest has no digest that this program knows',
    $text =~ s/"digest_from":"\w+"/"digest_from":"12"/r);
bad('an endless line', 'its last line is no manifest', 'x' x 10000, "\n");

fails(1, 'cannot read "[^"]*/none": No such file', 'no file', 'import', 'copy',
    "$dir/none");
fails(1, '"/" is no file: an import reads it twice', 'a directory', 'import',
    'copy', '/');
spew($file, $text);
{
    my $proc = $t->start('pipe', {}, 'sh', '-c', "cat '$file' | '" . $t->build
        . "/eventsyncctl' --store '" . $t->store . "' import copy /dev/stdin");
    is($proc->wait(20), 1, 'a pipe');
    is($proc->stderr, "eventsyncctl: \"/dev/stdin\" is no file: an import "
        . "reads it twice\n", 'is refused as well');
}
fails(1, 'feed "nosuch": event 1: ', 'no feed', 'import', 'nosuch', $file);

# The id of the 9th event with other content.
$t->feed('other');
$t->ctl_ok({ stdin => $t->event(id => 'e9', data => 'other') . "\n" },
    'publish', 'other');
fails(1, 'feed "other": event 9: ', 'another event of that id', 'import',
    'other', $file);
is(count('other'), 1, 'nothing of that commit is published');

###############################################################################
# interrupted, and slow

$t->feed('many')->feed('again');
$t->ctl_ok({ stdin => join '', map { $t->event(id => "m$_",
    type => 't' . $_ % 2) . "\n" } 1 .. 50_000 }, 'publish', 'many');
is($t->ctl_ok('export', 'many', '--types=t1'), $t->http(
    GET => '/v1/feeds/many/backfill?types=t1', { authorization => "Bearer $key" })
    ->{body}, 'a filter over many slices');
spew($file, $t->ctl_ok('export', 'many'));
my $preload = $t->build . '/kill.so';
SKIP: {
    skip 'needs kill.so, and no sanitizer', 5
        if !-e $preload || $t->sanitized;
    my $proc = $t->ctl_start({ env => { LD_PRELOAD => $preload,
        ES_KILL => 'before log-sync 2' } }, 'import', 'again', $file);
    is($proc->wait(30), 128 + 9, 'kill -9 in the middle');
    my $before = count('again');
    cmp_ok($before, '>', 0, 'a part was published');
    cmp_ok($before, '<', 50_000, 'and not all');
    is($t->ctl_ok('import', 'again', $file), 'imported ' . (50_000 - $before)
        . " events; $before were there already\n", 'again, and the rest is');
    is_deeply(bare($t->ctl_ok('export', 'again')), bare(slurp($file)),
        'the feed has them all, once, in their order');
}
ok($t->verify, 'verify');

$t->feed('large')->feed('larger');
$t->ctl_ok({ stdin => join '', map { $t->event(id => "l$_",
    data => { pad => 'x' x 200_000 }) . "\n" } 1 .. 50 }, 'publish', 'large',
    '--batch=10');
spew($file, $t->ctl_ok('export', 'large'));
is($t->ctl_ok('import', 'larger', $file),
    "imported 50 events; 0 were there already\n", 'large events');

# A reader that takes nothing of the output keeps no page of the log.
for my $command (qw(export tail)) {
    mkfifo "$dir/$command", 0600 or die;
    my $proc = $t->start($command, {}, 'sh', '-c', "exec '" . $t->build
        . "/eventsyncctl' --store '" . $t->store
        . "' $command many >'$dir/$command'");
    open my $fh, '<', "$dir/$command" or die;
    my $output = IO::Select->new($fh);
    ok(wait_for(sub { $output->can_read(0)
        && slurp('/proc/' . $proc->pid . '/stat') =~ /\) S/ }),
        "$command: its reader takes nothing");
    $t->ctl_ok({ stdin => $t->event(id => "$command$_") . "\n" }, 'publish',
        'other') for 1 .. 3;
    like($t->http(GET => '/ops/metrics')->{body},
        qr/^eventsync_store_readers_lag_commits\{environment="log"\} 0$/m,
        'and it pins nothing');
    $proc->stop('KILL');
}

done_testing();
