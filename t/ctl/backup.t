#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl backup and restore: a copy that is made while everything runs,
# is whole or not there, tells nobody a secret, and runs where it is restored.
# And the bell, which comes back by itself.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $dir = $t->testdir;
my $recv = $t->receiver(200);

sub mode { sprintf '%04o', (stat $_[0])[2] & 07777 }
sub slurp { my ($name) = @_; open my $fh, '<:raw', $name or return '';
    local $/; return <$fh> }
sub spew { my ($name, $text) = @_; open my $fh, '>:raw', $name or die $!;
    print $fh $text; close $fh }
sub within { my ($top) = @_;
    return sort map { s{^\Q$top\E/?}{}r || '.' } split /\n/, `find '$top'` }
# What the command has left beside its target.
sub left { my ($name) = @_;
    return join q{ }, grep { -e } "$dir/$name", glob "$dir/$name.*" }

sub fails {
    my ($line, $name, @args) = @_;
    my ($rc, $out, $err) = $t->ctl(@args);
    is($rc, 1, "$name: exit 1");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, "$name: one line says why");
}

###############################################################################
# beside live traffic

my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', ordering => 'none');
$t->default_conf(location => 'eventsync_checkpoints on;');
$t->run_nginx;
$t->run_dispatcher;
$t->master_key;
my $busy = $t->background(publisher => sub {
    for (my $n = 0; !$t->told_to_end; $n++) {
        $t->publish('orders', map { { id => "e$n-$_" } } 1 .. 10);
    }
});
ok(wait_for(sub { $recv->requests > 20 }), 'events are published and sent');

umask 022;
my @backups = map { "$dir/backup$_" } 1 .. 3;
for my $backup (@backups) {
    my $out = $t->ctl_ok('backup', $backup);
    like($out, qr/\Abackup of 1 feed, \d+ events, 0 checkpoints in "\Q$backup\E"\n/,
        'a backup beside live traffic, and it is checked');
}
$t->tell_to_end;
$busy->wait(20);
$t->stop_dispatcher;

my $backup = $backups[2];
is_deeply([within($backup)], [sort qw(. backup format log log/data.mdb
    registry registry/data.mdb delivery delivery/data.mdb checkpoints
    checkpoints/data.mdb)], 'it has what a store does not make by itself');
is_deeply([slurp("$backup/backup") =~ m{^[0-9a-f]{64}  (\w+)/data\.mdb$}mg],
    [qw(checkpoints delivery log registry)], 'positions were copied before the '
    . 'log, and the numbers of its publishers after it');
is_deeply([grep { mode($_) ne (-d $_ ? '0700' : '0600') }
    map { "$backup/$_" } within($backup)], [], 'nobody else can read it');
is(slurp("$backup/format"), slurp($t->store . '/format'),
    'the format file is the same');

for my $from (@backups) {
    my $to = "$from-restored";
    my $out = $t->ctl_ok('restore', $from, $to);
    like($out, qr/\Arestored 1 feed, \d+ events, 0 checkpoints of \S+Z in "\Q$to\E"\n/,
        'a restore tells what it has made');
    like($out, qr/^each feed begins a new epoch: /m,
        'also that its log may be older than what partners have seen');
    like($out, qr/^give the files to their groups .* --store=\Q$to\E store rights$/m,
        'and that it is for its maker only');
    is_deeply([grep { mode($_) !~ (-d $_ ? qr/^2?770$|^0770$/ : qr/^0660$/) }
        map { "$to/$_" } within($to)], [], 'with the modes of a store');
    ok(-e "$to/bell", 'and a bell');
    my ($rc, $said) = $t->ctl("--store=$to", 'verify');
    is($rc, 0, 'verify') or diag($said);

    # An endpoint's progress ahead of its log would be reset, and be told.
    local $t->{store} = $to;
    my ($log) = $t->ctl_ok('feed', 'show', 'orders')
        =~ /"latest":\s*"\w+-(\d+)"/;
    my ($sent) = map { /\w+-(\d+)/ } grep { /orders/ }
        split /\n/, $t->ctl_ok('endpoint', 'status', $endpoint);
    cmp_ok($sent, '<=', $log, 'no progress is ahead of the log');
}
is_deeply([glob "$dir/backup*.*"], [], 'nothing else is left');

###############################################################################
# it runs where it is restored

{
    my $from = slurp("$backup/backup");
    $t->stop_nginx;
    local $t->{store} = "$backup-restored";
    my $before = $recv->requests;
    $t->default_conf;
    $t->run_nginx;
    my $dispatcher = $t->run_dispatcher;
    my $new = $t->publish('orders', { id => 'after-restore' });
    is($new->{status}, 201, 'events are published');
    ok(wait_for(sub { grep { $_->{body} =~ /after-restore/ }
        ($recv->requests)[$before .. $recv->requests - 1] }, 20),
        'and sent by webhook');
    unlike($dispatcher->stderr =~ s/.*no --key-file.*\n//r,
        qr/ (?:warn|error): /, 'the dispatcher has nothing to complain of');
    is($t->stop_dispatcher, 0, 'and ends cleanly');
    ok($t->verify, 'verify');
    $t->stop_nginx;
    is(slurp("$backup/backup"), $from, 'the backup is as it was');
}

###############################################################################
# what cannot be done leaves nothing

fails('"[^"]*/full" is not empty: name a new directory', 'a full target',
    'backup', do { mkdir "$dir/full"; spew("$dir/full/x", ''); "$dir/full" });
fails('"[^"]*/store" is not empty \(it has a store or a backup\)', 'a store as target',
    'restore', $backup, $t->store);
symlink $t->store, "$dir/other-name";
for my $within ($t->store . '/b', $t->store . '/log/b/', "$dir/other-name/b",
    "$backup/b")
{
    fails('"[^"]*" is within a store or a backup, "[^"]*/' . (split m{/},
        $within eq "$backup/b" ? $backup : $t->store)[-1]
        . '": name a directory outside', "$_->[0] within another: $within",
        @$_, $within) for ['backup'], ['compact'], ['restore', $backup];
}
fails('cannot read the directory "[^"]*/full/x": Not a directory', 'a file as target',
    'backup', "$dir/full/x");
fails('cannot create "[^"]*": No such file or directory', 'no such place',
    'backup', "$dir/none/b");
fails('"[^"]*/full" is not a backup \(no file "backup" in it\)',
    'a foreign directory', 'restore', "$dir/full", "$dir/r");
fails('"[^"]*/none" is not a backup', 'no directory', 'restore', "$dir/none",
    "$dir/r");
fails('"[^"]*/store" is not a backup', 'a store is not one', 'restore',
    $t->store, "$dir/r");
spew("$dir/full/backup", "something\n");
fails('"[^"]*/full/backup" is not a list of an eventsync backup',
    'a file of that name', 'restore', "$dir/full", "$dir/r");
for my $first (['eventsync-backup 1', 1], ['# eventsync-backup 3', 3]) {
    spew("$dir/full/backup", "$first->[0]\n");
    fails("\"[^\"]*/full\" is a backup of version $first->[1], but this program "
        . 'reads version 2', "a backup of version $first->[1]", 'restore',
        "$dir/full", "$dir/r");
}

# One thing of a copy of the backup is changed, by a sub that is given it.
sub torn {
    my ($name, $line, $change) = @_;
    system('cp', '-a', $backup, "$dir/torn") == 0 or die;
    $change->("$dir/torn");
    fails($line, $name, 'restore', "$dir/torn", "$dir/r");
    is(left('r'), '', "$name: nothing is left");
    system('rm', '-r', "$dir/torn");
}

my $list = slurp("$backup/backup");
for my $at (0 .. split(/^/, $list) - 1) {
    my $cut = join '', (split /^/, $list)[0 .. $at - 1];
    torn("a list of $at lines", '"[^"]*torn" is |"[^"]*torn/backup" is ',
        sub { spew("$_[0]/backup", $cut) });
}
torn('a file cut short', '"[^"]*torn/log/data.mdb" is not the file that was',
    sub { truncate "$_[0]/log/data.mdb", 8192 });
torn('a bit flipped', '"[^"]*torn/registry/data.mdb" is not the file that',
    sub { my $text = slurp("$_[0]/registry/data.mdb");
        substr($text, 5000, 1) ^= "\1"; spew("$_[0]/registry/data.mdb", $text) });
torn('a file of another backup', '"[^"]*torn/log/data.mdb" is not the file',
    sub { system('cp', "$backups[0]/log/data.mdb", "$_[0]/log/data.mdb") });
torn('a file missing', 'cannot read "[^"]*torn/delivery/data.mdb": No such',
    sub { unlink "$_[0]/delivery/data.mdb" });
torn('a path that leads elsewhere', '"[^"]*torn/backup" is cut short or changed',
    sub { spew("$_[0]/backup", $list =~ s{log/data}{../data}r) });

mkdir "$dir/r";
chmod 0755, "$dir/r";
is(($t->ctl('restore', $backup, "$dir/r/"))[0], 0,
    'an empty directory may be there, and be named with a slash');
is(mode("$dir/r"), '0770', 'it has the mode of a store then');
is_deeply([within("$dir/r")], [within("$backups[0]-restored")],
    'and the files of a store, and no others');
system('rm', '-r', "$dir/r");
mkdir "$dir/r";
is(($t->ctl('backup', "$dir/r"))[0], 0, 'a backup takes one, too');
is_deeply([within("$dir/r")], [within($backup)], 'with nothing else in it');
system('rm', '-r', "$dir/r");

# Older stores have none.
{
    system('cp', '-a', $t->store, "$dir/old");
    system('rm', '-r', "$dir/old/checkpoints");
    is(($t->ctl("--store=$dir/old", 'backup', "$dir/oldback"))[0], 0,
        'a store without checkpoints is backed up');
    ok(!-e "$dir/oldback/checkpoints" && !-e "$dir/old/checkpoints",
        'as it is');
    is(($t->ctl('restore', "$dir/oldback", "$dir/oldnew"))[0], 0,
        'and restored');
    is(($t->ctl("--store=$dir/oldnew", 'verify'))[0], 0, 'and sound');
    system('rm', '-r', "$dir/old", "$dir/oldback", "$dir/oldnew");
}

###############################################################################
# ended by a signal

$t->ctl_ok({ stdin => join '', map { $t->event(id => "big$_",
    data => { pad => 'x' x 4000 }) . "\n" } 1 .. 5000 }, 'publish', 'orders');
for my $signal (qw(TERM INT HUP)) {
    my $proc = $t->ctl_start('backup', "$dir/signal");
    ok(wait_for(sub { scalar(() = glob "$dir/signal.*")
        || -e "$dir/signal" }), "$signal under way, or just too late");
    my $rc = $proc->stop($signal);
    my $whole = -e "$dir/signal/backup" && $rc == 0;
    is($whole ? '' : left('signal'), '', 'it is there whole or not at all');
    system('rm', '-rf', "$dir/signal");
}

###############################################################################
# slowly

for my $rate (qw(0 fast -1 5x), '') {
    my ($rc, $out, $err) = $t->ctl('backup', "--rate=$rate", "$dir/slow");
    is($rc, 2, "--rate=$rate: exit 2");
    like($err, qr/\Aeventsyncctl: "--rate=\Q$rate\E" is not a number of bytes a second, such as 50m\n\z/,
        'one line says why');
}
{
    my $proc = $t->ctl_start('backup', '--rate=1', "$dir/slow");
    ok(wait_for(sub { grep { -s } glob "$dir/slow.*/checkpoints/data.mdb" }),
        'a byte a second: it has begun');
    ok(!wait_for(sub { !$proc->running }, 0.5), 'and does not end');
    is($proc->stop('TERM'), 1, 'unless it is told to');
    is(left('slow'), '', 'and nothing is left');

    $proc = $t->ctl_start('backup', '--rate=10m', "$dir/slow");
    ok(wait_for(sub { grep { -s } glob "$dir/slow.*/log/data.mdb" }),
        'ten megabytes a second: the log is being copied');
    kill STOP => $proc->pid;
    $t->ctl_ok({ stdin => join '', map { $t->event(id => "slow$_",
        data => { pad => 'x' x 4000 }) . "\n" } 1 .. 500 }, 'publish', 'orders');
    kill CONT => $proc->pid;
    is($proc->wait(60), 0, 'it ends');
    my ($grew) = $proc->stdout =~ /^the store grew by (\d+) bytes while it was copied$/m;
    cmp_ok($grew, '>', 1_000_000, 'and says by how much the store grew meanwhile');
    is(system("cd '$dir/slow' && sha256sum --check --strict --quiet backup"), 0,
        'its hashes are right');
    is(($t->ctl('restore', "$dir/slow", "$dir/slowly"))[0], 0,
        'and it can be restored');
    system('rm', '-r', "$dir/slow", "$dir/slowly");
}

###############################################################################
# a full disk

SKIP: {
    skip 'needs root, to mount a small disk', 16 if $>;
    my $disk = "$dir/disk";
    $t->small_disk($disk, '4m') or skip 'cannot mount', 16;
    fails('cannot (?:write|sync) "[^"]*data.mdb": No space left on device',
        'no room for a backup', 'backup', "$disk/b");
    is_deeply([within($disk)], ['.'], 'nothing is left');
    fails('cannot (?:write|sync) "[^"]*data.mdb": No space left on device',
        'no room for a slow backup', 'backup', '--rate=1g', "$disk/b");
    is_deeply([within($disk)], ['.'], 'nothing is left');
    $t->ctl_ok('backup', "$dir/big");
    fails('cannot (?:copy to|sync|make) "[^"]*": No space left on device',
        'no room for a restore', 'restore', "$dir/big", "$disk/r");
    is_deeply([within($disk)], ['.'], 'nothing is left');
    $t->resize_disk($disk, '100m');
    is(($t->ctl('restore', "$dir/big", "$disk/r"))[0], 0, 'with room it works');
    system('rm', '-r', "$disk/r");
    mkdir "$disk/lost+found";
    is(($t->ctl('restore', "$dir/big", $disk))[0], 0,
        'the root of a disk can be restored to');
    is(($t->ctl("--store=$disk", 'verify'))[0], 0, 'and verified');
    system("rm -r $disk/*");
    $t->resize_disk($disk, '4m');
    fails('cannot (?:copy to|sync|make) "[^"]*": No space left on device',
        'no room on a disk of its own', 'restore', "$dir/big", $disk);
    is_deeply([within($disk)], ['.'], 'nothing is left there');
}

###############################################################################
# a damaged store is no backup

{
    system('cp', '-a', $t->store, "$dir/damaged");
    my $data = slurp("$dir/damaged/log/data.mdb");
    my $at = rindex $data, '"big4000"';
    substr($data, $at, 1) = '#';
    spew("$dir/damaged/log/data.mdb", $data);
    my ($rc, $out, $err) = $t->ctl("--store=$dir/damaged", 'backup', "$dir/d");
    is($rc, 1, 'a copy that is not sound is refused');
    like($out, qr/^feed orders: .*hash/m, 'the fault is told');
    like($err, qr/\Aeventsyncctl: the store has \d+ faults?\n\z/, 'in one line');
    is(left('d'), '', 'and nothing is left');
    system('rm', '-r', "$dir/damaged");
}

###############################################################################
# encrypted secrets: their keys are named, and not copied

my $keys = $t->write_file('secret-keys', 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='
    . "\n");
chmod 0600, $keys;
$t->ctl_ok('store', 'rekey', "--key-file=$keys");
my ($kid) = slurp($t->store . '/registry/data.mdb') =~ /sealed:([a-z2-7]{8}):/;
my $out = $t->ctl_ok('backup', "$dir/sealed");
like($out, qr/^secrets are encrypted: keep the key file with \Q$kid\E elsewhere/m,
    'a backup names the key that its secrets need');
like(slurp("$dir/sealed/backup"), qr/^# keys \Q$kid\E$/m, 'its list does too');
is_deeply(Test::Eventsync::json($t->ctl_ok('backup', '--json', "$dir/sealed2"))
    ->{keys}, [$kid], 'its JSON does as well');
$out = $t->ctl_ok('restore', "$dir/sealed", "$dir/unsealed");
like($out, qr/^secrets are encrypted: keep the key file with \Q$kid\E/m,
    'a restore says so again');
is(($t->ctl("--store=$dir/unsealed", "--key-file=$keys", 'verify'))[0], 0,
    'with that key file all secrets can be opened');
my $other = $t->write_file('other-keys', 'A' x 43 . "=\n");
chmod 0600, $other;
fails("the secrets of the store are encrypted under the key $kid",
    'another key file', "--key-file=$other", 'backup', "$dir/other");
is(left('other'), '', 'another key file: nothing is left');
for my $args (['restore', "$dir/sealed"], ['compact']) {
    fails("the secrets of the store are encrypted under the key $kid",
        "$args->[0] with another key file", "--key-file=$other", @$args,
        "$dir/other");
    is(left('other'), '', "$args->[0] with another key file: nothing is left");
}

###############################################################################
# the bell

for my $who (qw(publish poll tail dispatcher)) {
    unlink $t->store . '/bell';
    if ($who eq 'publish') {
        $t->ctl_ok({ stdin => $t->event(id => 'bell') . "\n" }, 'publish',
            'orders');
    } elsif ($who eq 'poll') {
        $t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ { eventsync_poll on; }
    }
}
CONF
        $t->run_nginx;
    } elsif ($who eq 'tail') {
        my $tail = $t->ctl_start('tail', 'orders', '--follow', '--from=latest');
        # it gets its mode after it is made
        ok(wait_for(sub { -e $t->store . '/bell'
            && mode($t->store . '/bell') eq '0660' }), 'tail watches');
        $tail->stop('TERM');
    } else {
        $t->run_dispatcher({ env => {} }, "--key-file=$keys");
    }
    ok(wait_for(sub { -e $t->store . '/bell' }),
        "a lost bell comes back by $who");
    # It is created first, and gets its mode then.
    wait_for(sub { mode($t->store . '/bell') eq '0660' });
    is(mode($t->store . '/bell'), '0660', 'with the mode of a store');
}
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /info: eventsync-dispatcher/ }),
    'the dispatcher runs');
is($t->stop_dispatcher, 0, 'the dispatcher ends cleanly');

done_testing();
