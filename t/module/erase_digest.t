#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# "erase --drop-digest": no digest of an erased event, and no value of the
# digest chain from which a guess could be tested, is left in any byte of the
# store.  The chain is made anew, beside publishers, after a kill at any moment,
# over packed history, and in a restored store.

use warnings;
use strict;

use Digest::SHA qw(sha256);
use File::Find qw(find);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $keys = $t->write_file('keys', encode_base64('k' x 32));
chmod 0600, $keys;
my $dir = $t->testdir;
my $preload = $t->build . '/kill.so';

$t->store_init;
my $key = $t->master_key;
$t->default_conf(http => "eventsync_key_file $keys;",
    location => '            eventsync_backfill on;');
$t->run_nginx;

# Commits of 30 events, and CANARY among them.
sub fill {
    my ($feed, $from, $to, %subject) = @_;
    for (my $first = $from; $first <= $to; $first += 30) {
        my $last = $first + 29 > $to ? $to : $first + 29;
        $t->ctl({ stdin => join '', map { $t->event(id => "$feed-$_",
            subject => $subject{$_} // 's', data => { n => $_ }) . "\n" }
            $first .. $last }, 'publish', $feed, '--key-file', $keys);
    }
}

# The events, with what a reader computes of them: the digest of each and the
# chain.
sub chain {
    my ($feed, @store) = @_;
    my @lines = split /\n/, $t->ctl_ok(@store, 'export', $feed);
    my $manifest = decode_json(pop @lines)->{manifest};
    my $d = pack 'H*', $manifest->{digest_from};
    my (@digest, @chain);
    for (@lines) {
        push @digest, /"erased":true,"digest":"(\w{64})"/ ? pack 'H*', $1
                                                          : sha256($_);
        push @chain, $d = sha256($d . $digest[-1]);
    }
    return { lines => \@lines, digest => \@digest, chain => \@chain,
        proven => unpack('H*', $d) eq $manifest->{digest} };
}

# How many of the values are in a file, in bytes or as text.
sub left {
    my ($in, @values) = @_;
    my $all = '';
    find({ no_chdir => 1, wanted => sub {
        return if !-f;
        open my $fh, '<:raw', $_ or die "$_: $!\n";
        local $/;
        $all .= <$fh>;
    } }, $in);
    my $hex = lc $all;
    return scalar grep { index($all, $_) >= 0
        || index($hex, unpack 'H*', $_) >= 0 } @values;
}

# What must go: the digest of event $n, and the chain from there on.
sub secrets {
    my ($chain, $n) = @_;
    return ($chain->{digest}[$n - 1],
        @{ $chain->{chain} }[$n - 1 .. $#{ $chain->{chain} }]);
}

sub erase {
    my ($what, $n, @args) = @_;
    return $t->ctl_ok('erase', $what, "--expect=$n", '--drop-digest',
        '--key-file', $keys, @args);
}

sub manifest {
    my ($feed, $query) = @_;
    return $t->http(GET => "/v1/feeds/$feed/manifest?$query",
        { authorization => "Bearer $key" });
}

sub sound {
    my ($feed, $name, @store) = @_;
    my $chain = chain($feed, @store);
    ok($chain->{proven}, "$name: a reader proves that it has every event");
    like($t->ctl_ok(@store, 'verify', '--key-file', $keys), qr/ 0 faults$/m,
        "$name: the store is sound");
    return $chain;
}

###############################################################################
# plain and packed history

for my $feed (qw(plain packed)) {
    $t->feed($feed);
    fill($feed, 1, 650, 205 => "$feed/CANARY", 207 => "$feed/CANARY",
        422 => "$feed/CANARY");
    $t->ctl_ok(qw(feed pack), $feed) if $feed eq 'packed';
    my $before = sound($feed, $feed);
    my @secrets = secrets($before, 205);
    cmp_ok(left($t->store, @secrets), '>=', 3, "$feed: the store has the chain");

    like(erase("--subject=$feed/CANARY", 3), qr/^3 events erased$/m,
        "$feed: three events are erased");
    is(left($t->store, @secrets), 0, "$feed: no value is in any byte");

    my $after = sound($feed, "$feed, erased");
    is_deeply([grep { $after->{lines}[$_ - 1] =~ /"erased":true,"feed"/ } 1 .. 650],
        [205, 207, 422], "$feed: the tombstones have no digest");
    is($after->{chain}[203], $before->{chain}[203],
        "$feed: the chain before the first one stays");
    isnt($after->{chain}[204], $before->{chain}[204], "$feed: and is another after");

    fill($feed, 651, 700);
    sound($feed, "$feed, with new events");
}
like($t->ctl_ok(qw(audit list --json)),
    qr/"action":"erase".*"digests":"dropped"|"digests":"dropped".*"action":"erase"/,
    'the audit says it');

###############################################################################
# an event that is a tombstone already

$t->feed('later');
fill('later', 1, 250, 120 => 'later/CANARY');
my $before = chain('later');
my ($cursor) = $before->{lines}[119] =~ /"cursor":"([^"]+)"/;
$t->ctl_ok('erase', '--subject=later/CANARY', '--expect=1', '--key-file', $keys);
my $kept = sound('later', 'later');
is($kept->{chain}[-1], $before->{chain}[-1], 'with its digest the chain stays');
my @secrets = secrets($before, 120);
cmp_ok(left($t->store, @secrets), '>', 1, 'and the digest is in the store');
erase("--event=$cursor", 1, '--feed=later');
is(left($t->store, @secrets), 0, 'a later run takes it');
sound('later', 'later, without');
like($t->ctl_ok('erase', "--event=$cursor", '--feed=later', '--drop-digest',
    '--dry-run'), qr/^0 events/m, 'and nothing is left to take');
my ($rc, undef, $err) = $t->ctl({ stdin => $t->event(id => 'later-120',
    subject => 'later/CANARY') . "\n" }, 'publish', 'later', '--key-file', $keys);
ok($rc == 1 && $err =~ /was erased/, 'it still cannot be published again');

###############################################################################
# a backup that was made before

$t->feed('copied');
fill('copied', 1, 250, 77 => 'copied/CANARY');
$before = chain('copied');
my $backup = "$dir/backup";
$t->ctl_ok('backup', $backup);
erase('--subject=copied/CANARY', 1);
my $list = $t->write_file('list', $t->ctl_ok('erasures'));
like($t->read_file('list'), qr/"digest": ?"dropped"/, 'the list says it');
for my $by (['the store'], ['the list', "--erasures=$list"]) {
    my ($name, @args) = @$by;
    my $to = "$dir/" . $name =~ tr/ /-/r;
    $t->ctl_ok((@args ? '--store=' : ()), 'restore', @args, $backup, $to);
    is(left($to, secrets($before, 77)), 0, "restored by $name: no value is there");
    sound('copied', "restored by $name", "--store=$to");
    is($t->ctl_ok("--store=$to", 'erasures'), $t->read_file('list'),
        'and it has the same list');
}
my $bad = $t->write_file('bad', $t->read_file('list') =~ s/dropped/kept/r);
($rc, undef, $err) = $t->ctl('--store=', 'restore', "--erasures=$bad", $backup,
    "$dir/c");
ok($rc == 1 && $err =~ /is not a line of "erasures"/, 'another word is refused');

###############################################################################
# killed after each commit: manifests are not answered from there on, publishers
# go on, and the next run completes it

SKIP: {
    skip 'needs kill.so, and no sanitizer', 1 if !-e $preload || $t->sanitized;
    my ($between, $n) = (0, 0);
    for my $sync (1 .. 8) {
        my $feed = "killed$sync";
        $t->feed($feed);
        fill($feed, 1, 900, 205 => "$feed/CANARY", 207 => "$feed/CANARY");
        my $old = chain($feed);
        my ($epoch) = $old->{lines}[0] =~ /"cursor":"(\w+)-/;
        my $proc = $t->ctl_start({ env => { LD_PRELOAD => $preload,
            ES_KILL => "after log-sync $sync" } }, 'erase',
            "--subject=$feed/CANARY", '--expect=2', '--drop-digest',
            '--key-file', $keys);
        is($proc->wait(60), 128 + 9, "killed after commit $sync");

        like($t->ctl_ok('verify', '--key-file', $keys), qr/ 0 faults$/m,
            '... the store is sound');
        my $answer = manifest($feed, "from=oldest&to=$epoch-900");
        if ($answer->{status} == 503) {
            $between++;
            ok($answer->{headers}{'retry-after'}, '... a manifest must wait');
            is(manifest($feed, "from=oldest&to=$epoch-100")->{status}, 200,
                '... but not one of earlier events');
            ($rc, undef, $err) = $t->ctl('export', $feed);
            ok($rc == 1 && $err =~ /makes its digest chain anew/,
                '... and so must an export') or diag($err);
            fill($feed, 901, 950);
            $t->ctl_ok(qw(feed pack), $feed);
        }
        my ($left) = $t->ctl_ok('erase', "--subject=$feed/CANARY", '--dry-run')
            =~ /^(\d+) events would/m;

        # of the chain the store has only what is before a commit or a page
        my @secrets = ($old->{digest}[204], $old->{digest}[206],
            map { $old->{chain}[$_ - 1] } grep { $_ % 30 == 0 || $_ % 100 == 0 }
                205 .. 900);
        erase("--subject=$feed/CANARY", $left);
        is(left($t->store, @secrets), 0, '... a second run completes it');
        sound($feed, "... $feed");
    }
    cmp_ok($between, '>=', 3, 'some were killed while the chain was made anew');
}

done_testing();
