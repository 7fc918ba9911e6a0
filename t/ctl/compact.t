#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl compact: a copy without free pages that has everything, and that
# nothing can be written beside.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $dir = $t->testdir;
my $store = $t->store;
my $recv = $t->receiver(200);
my $id = 0;

sub more { my ($n, $size) = @_;
    $t->ctl_ok({ stdin => join '', map { $t->event(id => 'e' . ++$id,
        data => { pad => 'x' x $size }) . "\n" } 1 .. $n }, 'publish', 'orders') }
sub left { my ($name) = @_;
    return join q{ }, grep { -e } "$dir/$name", glob "$dir/$name.*" }
sub rights { my ($top) = @_; return { map { my @s = stat "$top/$_";
    ($_ => sprintf '%04o %d %d', $s[2] & 07777, @s[4, 5]) }
    map { s{^\Q$top\E/?}{}r || '.' } split /\n/, `find '$top'` } }

sub fails {
    my ($line, $name, @args) = @_;
    my ($rc, $out, $err) = $t->ctl(@args);
    is($rc, 1, "$name: exit 1");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, "$name: one line says why");
    is(left('new'), '', "$name: nothing is left");
}

my $endpoint = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', ordering => 'none');
more(5000, 4000);
my ($epoch) = $t->ctl_ok('feed', 'show', 'orders') =~ /"epoch":\s*"(\w+)"/;
$t->ctl_ok('feed', 'trim', 'orders', "--before=$epoch-4991");
$t->ctl_ok('checkpoint', 'set', 'acme', 'orders', 'mine', "$epoch-4995");

###############################################################################
# not while something has it open

my $stop = ': stop nginx, the dispatcher and all producers first';
$t->default_conf(location => 'eventsync_checkpoints on;');
$t->run_nginx;
fails(qr/process \d+ has "\Q$store\E\/log" open$stop/, 'nginx runs', 'compact',
    "$dir/new");
$t->stop_nginx;
$t->run_dispatcher;
ok(wait_for(sub { $recv->count >= 10 }), 'events are sent');
fails(qr/process \d+ has "\Q$store\E\/log" open$stop/, 'the dispatcher runs',
    'compact', "$dir/new");
is($t->stop_dispatcher, 0, 'the dispatcher ends');
my $tail = $t->ctl_start('tail', 'orders', '--from=latest', '--follow');
ok(wait_for(sub { slurp_maps($tail->pid) =~ m{/log/data\.mdb} }), 'tail follows');
fails('process ' . $tail->pid . qr/ has "\Q$store\E\/log" open$stop/,
    'a reader runs', 'compact', "$dir/new");
$tail->stop('TERM');

sub slurp_maps { open my $fh, '<', "/proc/$_[0]/maps" or return '';
    local $/; return <$fh> }

###############################################################################
# not if something is written meanwhile

# Starts the command, and stops it while it copies.
sub stopped {
    for my $try (1 .. 50) {
        my $proc = $t->ctl_start('compact', "$dir/new");
        my $end = time + 20;
        sleep 0.001 until glob("$dir/new.*/log/data.mdb") || !$proc->running
            || time > $end;
        kill STOP => $proc->pid;
        return $proc if left('new') && !-e "$dir/new";
        kill CONT => $proc->pid;
        $proc->wait(20);
        $t->forget($proc);
        system('rm', '-rf', "$dir/new");
    }
    die "never in the middle of a copy\n";
}

sub goes_on {
    my ($proc, $name, $line) = @_;
    kill CONT => $proc->pid;
    is($proc->wait(30), 1, "$name: exit 1");
    like($proc->stderr, qr/\Aeventsyncctl: $line\n\z/, "$name: one line says why");
    is(left('new'), '', "$name: nothing is left");
}

my $changed = qr/"\Q$store\E" was changed while it was copied$stop/;
my $compact = stopped();
more(1, 10);
goes_on($compact, 'an event', $changed);
$compact = stopped();
$t->ctl_ok('checkpoint', 'set', 'acme', 'orders', 'mine', "$epoch-4996");
goes_on($compact, 'a checkpoint', $changed);
$compact = stopped();
$t->ctl_ok('partner', 'create', 'new');
goes_on($compact, 'a partner', $changed);
$compact = stopped();
$tail = $t->ctl_start('tail', 'orders', '--from=latest', '--follow');
ok(wait_for(sub { slurp_maps($tail->pid) =~ m{/log/data\.mdb} }),
    'tail has begun meanwhile');
goes_on($compact, 'a reader', qr/process \d+ has "\Q$store\E\/log" open$stop/);
$tail->stop('TERM');

###############################################################################
# the copy

if ($> == 0) {
    $t->ctl_ok('store', 'rights', '--group=61200', '--dispatcher=61202',
        map { "--$_=6121" . $id++ % 10 } qw(publish manage ack pages delivery));
}
$t->ctl_ok('store', 'mark', 'staging');
mkdir "$store/encrypted";
$t->write_file('key.jwk', '{"kty":"EC","kid":"k1","crv":"P-256","x":'
    . '"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":'
    . '"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}');
sub ciphertext {
    my ($of) = @_;
    my $cmd = join ' ', map { "'$_'" } $t->build . '/helper/encrypt',
        "$dir/key.jwk", 'orders', '/s', 'e1', '/data/m', $of, "$epoch-1";
    return `echo 1 | $cmd`;
}
my $ciphertext = ciphertext($store);
like($ciphertext, qr/^eyJ/, 'a ciphertext was kept');
my $before = rights($store);
my %was = map { ($_->[0] => $t->ctl_ok(@$_)) } ['tail', 'orders'],
    ['endpoint', 'status'], ['checkpoint', 'list'], ['partner', 'list'];
my $size = -s "$store/log/data.mdb";
my $out = $t->ctl_ok('compact', "$dir/new");
my ($bytes, $won) = $out
    =~ m{\Athe store in "\Q$dir/new\E" takes (\d+) bytes, (\d+) fewer than "\Q$store\E"\n\z};
ok($bytes, 'a copy') or diag($out);
cmp_ok($won, '>', 10_000_000, 'is smaller, and says by how much');
is(-s "$store/log/data.mdb", $size, 'the store is as it was');
is(left('new'), "$dir/new", 'nothing else is there');
my $after = rights("$dir/new");
is_deeply({ map { ($_ => $after->{$_}) } grep { $before->{$_} } keys %$after },
    { map { ($_ => $before->{$_}) } grep { $after->{$_} } keys %$before },
    'its files have the rights that they had');
is_deeply([grep { !$after->{$_} && !m{^pages/|^ids/|^delivery/owner|^encrypted/lock} } keys %$before], [],
    'and are all there');
is(ciphertext("$dir/new"), $ciphertext, 'with the ciphertext');
{
    local $t->{store} = "$dir/new";
    # but for the age of the oldest event that waits
    is($t->ctl_ok(@$_) =~ s/ seconds=\S+//gr, $was{$_->[0]} =~ s/ seconds=\S+//gr,
        "@$_ is the same") for ['tail', 'orders'], ['endpoint', 'status'],
        ['checkpoint', 'list'], ['partner', 'list'];
    is(($t->ctl('verify'))[0], 0, 'verify');
    more(1, 10);
    like($t->ctl_ok('tail', 'orders'), qr/"cursor":"$epoch-5002"[^\n]*\n\z/,
        'it goes on with the next sequence of the same epoch');
}
mkdir "$dir/there";
chmod 0755, "$dir/there";
like($t->ctl_ok('compact', '--json', "$dir/there"),
    qr{\A\{"store":"\Q$dir\E/there","bytes":\d+,"won":\d+\}\n\z},
    'an empty directory may be there; and JSON');
is(rights("$dir/there")->{'.'}, $before->{'.'}, 'it gets the rights of the store');

###############################################################################
# what cannot be done

system('rm', '-r', "$dir/new", "$dir/there");
fails(qr/"\Q$store\E" is not empty/, 'the store itself', 'compact', $store);
fails('"[^"]*/none" is not an eventsync store', 'no store', "--store=$dir/none",
    'compact', "$dir/new");
system('cp', '-a', $store, "$dir/bad");
{
    open my $fh, '+<:raw', "$dir/bad/log/data.mdb" or die;
    local $/;
    my $text = <$fh>;
    seek $fh, rindex($text, 'e4999'), 0;
    print $fh 'f';
}
my ($rc, $said, $err) = $t->ctl("--store=$dir/bad", 'compact', "$dir/new");
is($rc, 1, 'a damaged store: exit 1');
like($err, qr/\Aeventsyncctl: the store has \d+ faults?\n\z/, 'in one line');
is(left('new'), '', 'and nothing is left');
SKIP: {
    skip 'needs root, to mount a small disk', 4 if $>;
    my $disk = "$dir/disk";
    $t->small_disk($disk, '256k') or skip 'cannot mount', 4;
    fails('(?:cannot (?:write|sync) "[^"]*data.mdb": No space left on device'
        . '|cannot verify: store full: \w+/ has no room on its disk)', 'a full disk', 'compact', "$disk/c");
    is(join(q{ }, glob "$disk/*"), '', 'and nothing there');
}

done_testing();
