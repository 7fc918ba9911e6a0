#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl restore: new epochs, the rights of the files, backups that it
# refuses, and what kill -9 leaves at any point.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my $store = $t->store;
my $backup = "$dir/backup";
$t->store_init->feed('orders')->feed('empty');
put('orders', 1 .. 8);
my $said = $t->ctl_ok('backup', '--json', $backup);
put('orders', 9 .. 10);

sub put {
    my ($feed, @n) = @_;
    $t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_") . "\n" } @n },
        'publish', $feed, '--results');
}
sub slurp { my ($name) = @_; open my $fh, '<:raw', $name or return '';
    local $/; return <$fh> }
sub spew { my ($name, $text) = @_; open my $fh, '>:raw', $name or die $!;
    print $fh $text; close $fh }
sub feed { my ($of, $name) = @_; local $t->{store} = $of;
    return Test::Eventsync::json($t->ctl_ok('feed', 'show', $name)) }
sub rights { my ($top) = @_; return { map { my @s = stat "$top/$_";
    ($_ => sprintf '%04o %d %d', $s[2] & 07777, @s[4, 5]) }
    map { s{^\Q$top\E/?}{}r || '.' } split /\n/, `find '$top'` } }

sub fails {
    my ($line, $name, @args) = @_;
    my ($rc, $out, $err) = $t->ctl(@args);
    is($rc, 1, "$name: exit 1");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, "$name: one line says why");
    is_deeply([glob "$dir/r $dir/r.*"], ["$dir/r"], "$name: nothing is left")
        if !-e "$dir/r";
}

###############################################################################
# epochs

my $old = feed($store, 'orders');
my $to = "$dir/restored";
$t->ctl_ok('restore', $backup, $to);
my $new = feed($to, 'orders');
isnt($new->{epoch}, $old->{epoch}, 'a restored feed has a new epoch');
isnt(feed($to, 'empty')->{epoch}, feed($store, 'empty')->{epoch},
    'and so has an empty one');
{
    local $t->{store} = $to;
    like($t->ctl_ok('tail', 'orders', "--after=$old->{epoch}-7"),
        qr/"cursor":"$old->{epoch}-8"/, 'a cursor of the backup is good');
    is(($t->ctl('tail', 'orders', "--after=$old->{epoch}-8"))[0], 0,
        'the last one, too');
    is(($t->ctl('tail', 'orders', "--after=$old->{epoch}-9"))[0], 1,
        'and none of an event that it lacks');
    like(put('orders', 9), qr/^$new->{epoch}-9 e9$/m,
        'new events have the next sequence');
    is(($t->ctl('verify'))[0], 0, 'verify');
}
my $made = Test::Eventsync::json($said);
like(delete $made->{made}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'backup --json: its time');
is_deeply($made, { directory => $backup, feeds => 2, events => 8,
    checkpoints => 0, keys => [], grew => 0 }, 'and what it has');
$made = Test::Eventsync::json(
    $t->ctl_ok('restore', '--json', '--keep-epochs', $backup, "$dir/kept"));
like(delete $made->{made}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z$/, 'restore --json: its time');
is_deeply([map { $_ . '' } @{ $made }{qw(directory feeds events checkpoints new_epochs)}],
    ["$dir/kept", 2, 8, 0, 0], 'and what it has');
is(feed("$dir/kept", 'orders')->{epoch}, $old->{epoch},
    '--keep-epochs keeps them');

###############################################################################
# rights

SKIP: {
    skip 'needs root', 4 if $>;
    my @rights = ('--group=61200', '--dispatcher=61202', '--publish=61210',
        '--manage=61211', '--ack=61212', '--pages=61213', '--delivery=61214');
    $t->ctl_ok('restore', '--keep-epochs', $backup, "$dir/right");
    $t->ctl_ok("--store=$dir/right", 'store', 'rights', @rights);
    my $as = rights("$dir/right");
    mkdir "$dir/there";
    for my $name (qw(given there)) {
        my $out = $t->ctl_ok('restore', @rights, $backup, "$dir/$name");
        is_deeply(rights("$dir/$name"), $as, "$name: the files have the rights "
            . 'that "store rights" gives');
        unlike($out, qr/store rights/, "$name: so nobody needs to do that");
    }
}
my ($rc, $out, $err) = $t->ctl('restore', '--group=1', $backup, "$dir/r");
is($rc, 2, 'a group alone is not enough');
like($err, qr/--dispatcher=USER are required/, 'and the message says so');
ok(!-e "$dir/r", 'nothing was made');
fails('there is no user "nosuchuser"', 'an unknown user', 'restore', '--group=1',
    map({ "--$_=1" } qw(publish manage ack pages delivery)),
    '--dispatcher=nosuchuser', $backup, "$dir/r");

###############################################################################
# backups that are refused, before anything is copied

$t->ctl_ok("--store=$dir/other", 'init');
fails("\"\Q$backup\E\" is a backup of another store than \"\Q$dir\E/other\"",
    'a backup of another store', "--store=$dir/other", 'restore', $backup,
    "$dir/r");
is(($t->ctl('--store=', 'restore', '--erasures=none', $backup,
    "$dir/other2"))[0], 0,
    'it is restored where no store is named');
is(($t->ctl("--store=$dir/none", 'restore', '--erasures=none', $backup,
    "$dir/other3"))[0], 0,
    'or where it is gone');

for my $version (3, 5) {
    system('cp', '-a', $backup, "$dir/version");
    my $format = slurp("$backup/format") =~ s/^eventsync-store \d+/eventsync-store $version/r;
    spew("$dir/version/format", $format);
    my ($was, $is) = map { sha256_hex($_) } slurp("$backup/format"), $format;
    spew("$dir/version/backup", slurp("$backup/backup") =~ s/$was/$is/r);
    fails("\"[^\"]*version\" is a store of format $version, but this program "
        . 'reads format 4', "format $version", 'restore', "$dir/version",
        "$dir/r");
    system('rm', '-r', "$dir/version");
}
for my $hash ('x' x 64, 'a' x 63, 'a' x 65, 'aa' x 31 . '+1') {
    system('cp', '-a', $backup, "$dir/hash");
    spew("$dir/hash/backup", slurp("$backup/backup")
        =~ s/^[0-9a-f]{64}(?=  log)/$hash/mr);
    fails('"[^"]*hash/backup" is cut short or changed', "hash $hash", 'restore',
        "$dir/hash", "$dir/r");
    system('rm', '-r', "$dir/hash");
}

###############################################################################
# a backup is no store

my $is = '"[^"]*backup" is a backup: make a store of it with "restore"';
fails($is, "a backup as a store: $_->[0]", "--store=$backup", @$_)
    for ['verify'], ['feed', 'list'], ['publish', 'orders'],
    ['backup', "$dir/again"];
{
    local $t->{store} = $backup;
    my ($rc, $said) = $t->check_conf(
        'events { } http { eventsync_store %%STORE%%; }');
    like($said, qr/"[^"]*backup" is a backup: make a store/,
        'nginx -t says so, too');
    my $dispatcher = $t->start('dispatcher', {}, $t->build
        . '/eventsync-dispatcher', '--store', $backup);
    is($dispatcher->wait(20), 1, 'the dispatcher does not start');
    like($dispatcher->stderr, qr/is a backup: make a store/, 'for this reason');
}
ok(!-e "$backup/bell" && !-e "$backup/log/lock.mdb", 'nothing was changed there');

###############################################################################
# kill -9

my $preload = $t->build . '/kill.so';
SKIP: {
    skip 'needs kill.so, and no sanitizer', 1
        if !-e $preload || $t->sanitized;
    for my $kind (qw(restore within backup compact)) {
        my %steps = steps($kind);
        my @plan = map { my $step = $_;
            (map({ "before $step $_" } 1 .. $steps{$step}), "after $step $steps{$step}") }
            grep { $steps{$_} }
            qw(mkdir fsync log-write log-sync unlink rename);
        cmp_ok(scalar @plan, '>=', 20, "$kind: " . @plan . ' points');
        is_deeply([grep { length } map { killed($kind, $_) } @plan], [],
            "$kind: nothing that kill -9 leaves can be used unless it is whole");
    }
}

sub args {
    my ($kind) = @_;
    mkdir "$dir/k" if $kind eq 'within';
    return $kind =~ /^(?:backup|compact)$/ ? ($kind, "$dir/k")
        : ('restore', $backup, "$dir/k");
}

sub steps {
    my ($kind) = @_;
    my $proc = $t->ctl_start({ env => { LD_PRELOAD => $preload,
        ES_KILL_COUNT => "$dir/steps" } }, args($kind));
    is($proc->wait(30), 0, "$kind: a run") or diag($proc->stderr);
    system('rm', '-rf', "$dir/k");
    return slurp("$dir/steps") =~ /^(\S+) (\d+)$/mg;
}

sub killed {
    my ($kind, $step) = @_;
    my $proc = $t->ctl_start({ env => { LD_PRELOAD => $preload,
        ES_KILL => $step } }, args($kind));
    my $rc = $proc->wait(30);
    $t->forget($proc);
    my @faults = $rc == 128 + 9 || $rc == 0 ? () : "$step: exit $rc";
    for my $left (glob "$dir/k $dir/k.* $dir/k/new.*") {
        next if !-d $left;
        my ($rc, $out, $err) = $t->ctl("--store=$left", 'verify');
        push @faults, "$step: $left: $err" if $rc == 0
            ? $out !~ /^2 feeds, (?:8|10) events/
            : $err !~ /is not whole|no file "format"/
                && !($kind eq 'backup' && $err =~ /is a backup/);
    }
    system("rm -rf $dir/k $dir/k.*");
    return @faults;
}

done_testing();
