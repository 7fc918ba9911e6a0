#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The audit on the command line.  The table below has each command of
# eventsyncctl: either the calls that must leave one entry each, or why it
# leaves none.  A command that is in neither fails the test.

use warnings;
use strict;

use File::Copy;
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
$t->store_init;

# Commands that change nothing that an environment has, by the reason.
my %none = (
    'reads' => [ 'audit export', 'audit list', 'audit receipt', 'audit verify',
        'backup',
        'checkpoint list', 'checkpoint show', 'dashboard links', 'doctor',
        'endpoint attempts', 'endpoint dead', 'endpoint keys', 'endpoint list',
        'endpoint show', 'endpoint status', 'erasures', 'explain', 'export',
        'feed list',
        'flag list',
        'feed publishers', 'feed show', 'fields preview', 'key list',
        'partner list', 'partner show', 'tail', 'type export',
        'type list', 'type show',
        'verify' ],
    'the log says who published' => [ 'import', 'mirror', 'publish' ],
    'makes or moves files of a store' => [ 'compact', 'init', 'restore',
        'store rights' ],
    'changes the form of records, and no event' => [ 'feed pack', 'feed unpack' ],
    'plays a partner' => [ 'lab', 'listen', 'verify-integration',
        'verify-poller' ],
    'makes several changes, each with its entry' => [ 'drill', 'mirror',
        'partner offboard', 'probe', 'type promote' ],
    'needs keys, below' => [ 'store rekey' ],
    'has an entry for each chain, below' => [ 'audit prune' ],
);
my %seen = map { $_ => 1 } map { @$_ } values %none;

chains_begin();
commands();
deliveries();
is_deeply([ grep { !$seen{$_} } map { decode_json($_)->{command} }
    split /\n/, $t->ctl_ok('help', '--json') ], [],
    'each command is in one of the tables');
secrets();
list();
proofs();
damage();
offline();
older();
keys_fail();
rekeys();
$t->verify;

done_testing();

###############################################################################

sub entries {
    return map { decode_json($_) } split /\n/, $t->ctl_ok(qw(audit list --json),
        @_);
}

# Runs a command that must leave one entry by the user, and returns its output.
sub one {
    my ($name, $expected, @args) = @_;
    my $opts = ref $args[0] ? shift @args : {};
    my %before = map { ("$_->{chain} $_->{sequence}" => 1) } entries();

    $seen{$name} = 1;
    my $out = $t->ctl_ok($opts, split(/ /, $name), @args);
    my @new = grep { !$before{"$_->{chain} $_->{sequence}"}
        && $_->{kind} ne 'audit' && $_->{by} ne 'dispatcher' } entries();
    is(join(' ', map { "$_->{action} $_->{kind} $_->{object}" } @new),
        $expected, "one entry: $name");
    return $out;
}

# A store of an earlier build has no chains.
sub chains_begin {
    is($t->ctl_ok(qw(audit list)), '', 'a new store has an empty audit');
    is(decode_json($t->ctl_ok(qw(audit verify --json)))->{chains}{log}{last}, 0,
        'which is valid');
    $t->ctl_ok(qw(feed create first));
    is_deeply([ map { "$_->{sequence} $_->{action} $_->{object}" } entries() ],
        ['1 begin log', '2 create first'], 'its first entry says so');
}

sub commands {
    one('feed create', 'create feed orders', 'orders', '--retain-age=1h');
    one('feed change', 'change feed orders', 'orders', '--retain-age=2h');
    one('feed change', 'change feed orders', 'orders', '--pack=off');
    my ($change) = reverse entries();
    is("$change->{before}{pack_level} $change->{after}{pack_level}", '1 0',
        'the level of packing before and after');
    one('type register', 'create type a.b 1.0.0', { stdin => '{}' }, 'a.b',
        '1.0.0');
    one('type promote', 'create type b.c 1.0.0', { stdin =>
        '{"type":"b.c","version":"1.0.0","schema":"true"}' });
    one('type change', 'change type a.b', 'a.b', '--feeds=orders');
    one('type deprecate', 'change type a.b 1.0.0', 'a.b', '1.0.0');
    one('partner create', 'create partner acme', 'acme', '--feeds=orders');
    one('partner change', 'change partner acme', 'acme', '--feeds=orders,x',
        '--allow-http=yes', '--allow-addresses=127.0.0.0/8');
    one('partner data-use', 'change partner acme', 'acme', '--feeds=orders,x',
        '--purpose=invoices', '--expires=2099-01-01T00:00:00Z');
    one('flag set', 'create flag sse', 'sse', '10%');
    one('flag set', 'change flag sse', 'sse', 'on');
    one('flag remove', 'remove flag sse', 'sse');
    $t->ctl_ok(qw(partner create old));
    one('partner remove', 'remove partner old', 'old');

    my $key = decode_json($t->ctl_ok(qw(key create acme --scopes=read --json))
        )->{name};
    $seen{'key create'} = 1;
    is((entries())[-1]{object}, $key, 'one entry: key create');
    one('key change', "change key $key", $key, '--label=a');
    one('key revoke', "change key $key", $key);
    one('key remove', "remove key $key", $key);

    my $link = decode_json($t->ctl_ok(qw(dashboard link acme),
        '--url=https://x.example', '--json'))->{name};
    $seen{'dashboard link'} = 1;
    is((entries())[-1]{object}, $link, 'one entry: dashboard link');
    one('dashboard revoke', "change key $link", $link);

    $t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_") . "\n" } 1 .. 3 },
        qw(publish orders));
    my @cursors = map { decode_json($_)->{cursor} }
        split /\n/, $t->ctl_ok(qw(tail orders));
    one('checkpoint set', 'create checkpoint orders c', qw(acme orders c),
        $cursors[0]);
    one('checkpoint set', 'change checkpoint orders c', qw(acme orders c),
        $cursors[1]);
    one('checkpoint remove', 'remove checkpoint orders c', qw(acme orders c));
    one('feed trim', 'trim feed orders', 'orders', "--before=$cursors[1]");
    one('feed begin-epoch', 'epoch feed orders', 'orders');
    one('feed hold', 'hold feed orders', 'orders', '--reason=case 17');
    one('feed release', 'release feed orders', 'orders');
    one('store mark', 'mark store ', 'staging');
    $t->ctl_ok(qw(feed create gone));
    one('feed reset', 'reset feed gone', 'gone');
    one('feed remove', 'remove feed gone', 'gone');
    $seen{'feed retime'} = 1;          # t/store/clock_store.t has late times

    $t->write_file('erase-keys', `openssl rand -base64 32`);
    chmod 0600, "$dir/erase-keys";
    $t->ctl_ok({ stdin => $t->event(id => 'x', subject => 'customer/42') },
        qw(publish orders));
    one('erase', 'erase events orders', '--subject=customer/42', '--expect=1',
        "--key-file=$dir/erase-keys");
    unlike($t->ctl_ok(qw(audit list)), qr/customer/, '... without the subject');
}

# Requests to the dispatcher leave an entry in registry/, and the dispatcher one
# in delivery/ when it takes them.
sub deliveries {
    my $recv = $t->receiver(500);
    my $made = decode_json($t->ctl_ok(qw(endpoint create acme), '--url='
        . $recv->url, '--feeds=orders', '--start=oldest', '--schedule=0,1h',
        '--json'));
    my $to = $made->{name};
    $seen{'endpoint create'} = 1;
    is((entries())[-1]{object}, $to, 'one entry: endpoint create');
    one('endpoint change', "change endpoint $to", $to, '--timeout=9s');
    one('endpoint pause', "change endpoint $to", $to);
    one('endpoint resume', "change endpoint $to", $to);
    one('endpoint rotate', "change endpoint $to", $to);
    one('endpoint simulate', "change endpoint $to", $to, '--failure=status');
    $t->ctl_ok(qw(endpoint simulate), $to, '--failure=none');

    $t->run_dispatcher;
    ok(wait_for(sub { $recv->count }, 20), 'a webhook is refused');
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $to, '--json')
        =~ /"statuses"/ }, 20), 'its event waits');
    my ($cursor) = map { decode_json($_)->{cursor} }
        split /\n/, $t->ctl_ok(qw(tail orders));
    one('endpoint skip', "skip endpoint $to", $to, 'orders', $cursor);
    one('endpoint discard', "discard endpoint $to", $to, '--expect=1');
    one('endpoint resend', "resend endpoint $to", $to, 'orders', $cursor);
    one('endpoint redrive', "redrive endpoint $to", $to);
    one('endpoint verify', "verify endpoint $to", $to, '--accept');
    one('endpoint replay', "replay endpoint $to", $to, 'orders',
        '--from=oldest');
    my ($rc) = $t->ctl(qw(endpoint test), $to);
    $seen{'endpoint test'} = 1;
    is((grep { $_->{action} eq 'test' && $_->{chain} eq 'registry' } entries()),
        1, 'one entry: endpoint test');
    my ($n) = $t->ctl_ok('endpoint', 'cancel', $to, 'orders', '--dry-run')
        =~ /(\d+)/;
    one('endpoint cancel', "cancel endpoint $to", $to, 'orders', "--expect=$n");

    my @asked = sort map { "$_->{action} $_->{after}{request} $_->{partner}" }
        grep { ($_->{after} // {})->{request} && $_->{chain} eq 'registry' }
        entries();
    ok(wait_for(sub { "@asked" eq join ' ', sort map {
        "$_->{action} $_->{after}{request} $_->{partner}" } grep {
        $_->{by} eq 'dispatcher' && $_->{chain} eq 'delivery'
        && $_->{after}{request} } entries() }, 20),
        'the dispatcher has an entry for each request that it took');
    is($t->stop_dispatcher, 0, 'it ends');
    one('endpoint remove', "remove endpoint $to", $to);
}

sub secrets {
    my $made = decode_json($t->ctl_ok(qw(endpoint create acme),
        '--url=https://a.example/h', '--feeds=orders', '--json'));
    my $rotated = decode_json($t->ctl_ok(qw(endpoint rotate), $made->{name},
        '--json'));
    my $key = decode_json($t->ctl_ok(qw(key create acme --scopes=read --json)));
    my $all = $t->ctl_ok(qw(audit list --json));
    unlike($all, qr/\Q$_\E/, 'no secret is in the audit') for $made->{secret},
        $rotated->{secret}, $key->{key};
    my ($change) = grep { $_->{object} eq $made->{name}
        && $_->{action} eq 'change' } entries();
    is_deeply($change->{before}{secrets}, ['set'], 'a secret was set');
    is($change->{after}{secrets}[0], 'changed', 'and is another one');
    my ($create) = grep { $_->{object} eq $key->{name} } entries();
    is($create->{after}{digest}, 'set', 'nor is the digest of a key');
}

sub list {
    my @all = entries();
    is_deeply([ map { $_->{time} } @all ], [ sort map { $_->{time} } @all ],
        'all chains are merged by time');
    like($all[0]{by}, qr/^uid $< \(/, 'an entry says who');
    ok(length $all[0]{from}, 'and from where');
    is_deeply([ grep { $_->{kind} ne 'partner' } entries('--kind=partner') ],
        [], '--kind');
    my @acme = entries('--partner=acme');
    ok(scalar @acme, '--partner');
    is_deeply([ grep { $_->{partner} ne 'acme' } @acme ], [],
        '... has nothing else');
    is(scalar entries('--since=2099-01-01T00:00:00Z'), 0, '--since');
    is(scalar entries('--since=1d'), scalar @all, '... as a duration');
    like($t->ctl_ok(qw(audit list --kind=feed)),
        qr/^20\S+Z  log  uid .*  create  feed  first  - -> \{"retain_count"/,
        'as text');
    my ($rc, undef, $err) = $t->ctl(qw(audit list --since=yesterday));
    is("$rc $err", "2 eventsyncctl: \"--since=yesterday\" is neither an RFC "
        . "3339 time nor a duration like 1d\n", 'a bad time');
}

###############################################################################

sub key_pair {
    my ($name) = @_;
    is(system("openssl genpkey -algorithm ed25519 -out $dir/$name.pem "
        . "2>/dev/null && openssl pkey -in $dir/$name.pem -pubout "
        . "-out $dir/$name.pub 2>/dev/null && chmod 600 $dir/$name.pem"), 0,
        'a key is made');
}

sub verify_at {
    my ($store, @args) = @_;
    my ($rc, $out, $err) = $t->ctl("--store=$store", qw(audit verify --quiet),
        @args);
    return "$rc $err";
}

# One signed head now, in a file of its own.
sub head {
    my ($name) = @_;
    my $all = $t->ctl_ok(qw(audit export), "--audit-key=$dir/a.pem");
    return $t->write_file($name, (split /^/, $all)[-1]);
}

my ($h1, $h2);

sub proofs {
    key_pair('a');
    key_pair('b');
    $h1 = head('h1');
    $t->ctl_ok(qw(partner create late));
    $h2 = head('h2');
    my @with = ("--heads=$h2", "--audit-key=$dir/a.pub");
    is(verify_at($t->store, @with), '0 ', 'the chains have the signed heads');
    is(verify_at($t->store, "--heads=$h1", "--audit-key=$dir/a.pub"), '0 ',
        'and older ones');
    is(verify_at($t->store, '--heads=' . $t->write_file('export',
        $t->ctl_ok(qw(audit export), "--audit-key=$dir/a.pem")),
        "--audit-key=$dir/a.pub"), '0 ', 'and those of an export');
    like(verify_at($t->store, "--heads=$h2", "--audit-key=$dir/b.pub"),
        qr/^1 .*h2:1: the heads are signed by another key/, 'another key');

    my $text = $t->read_file('h2');
    (my $forged = $text) =~ s/"sequence":(\d+)/'"sequence":' . ($1 + 1)/e;
    $t->write_file('forged', $forged);
    like(verify_at($t->store, "--heads=$dir/forged", "--audit-key=$dir/a.pub"),
        qr/^1 .*forged:1: the signature of the heads is wrong/, 'forged heads');
    $t->write_file('junk', "{}\n");
    like(verify_at($t->store, "--heads=$dir/junk", "--audit-key=$dir/a.pub"),
        qr/^1 .*junk:1: not the signed heads of an audit/, 'other text');
    like(verify_at($t->store, "--heads=$h2"), qr/^2 .*--heads needs --audit-key/,
        'heads without a key');
}

# A copy of the store with the same identity.
sub copy_store {
    my ($name) = @_;
    system("rm -rf $dir/$name && cp -r " . $t->store . " $dir/$name");
    return "$dir/$name";
}

# Each attack is on a copy.
sub damage {
    my @with = ("--heads=$h2", "--audit-key=$dir/a.pub");

    # a byte of an entry, in the file itself
    my $store = copy_store('changed');
    my $file = "$store/registry/data.mdb";
    my $data = do { local (@ARGV, $/) = $file; <> };
    my $n = () = $data =~ /"object":"late"/g;
    $data =~ s/"object":"late"/"object":"lat3"/g;
    ok($n, 'the entry is in the file');
    open my $fh, '>', $file or die;
    print $fh $data;
    close $fh;
    like(verify_at($store), qr/^1 eventsyncctl: registry\/: entry \d+ does not match/, 'a changed byte');
    my ($rc, $out, $err) = $t->ctl("--store=$store", 'verify');
    like("$rc $out$err", qr/^1 .*audit of registry\/: entry/s, 'verify sees it, too');

    # a copy from before: its chain ends before the signed head
    $store = copy_store('old');
    $t->ctl_ok(qw(partner create later));
    my $h3 = head('h3');
    like(verify_at($store, "--heads=$h3", "--audit-key=$dir/a.pub"),
        qr/^1 .*registry\/: the chain ends at entry \d+, but a signed head/, 'a truncation');
    is(verify_at($store, @with), '0 ', 'which an older head does not show');

    # and goes on by itself
    $t->ctl_ok("--store=$store", qw(partner create other));
    like(verify_at($store, "--heads=$h3", "--audit-key=$dir/a.pub"),
        qr/^1 .*registry\/: the signed head of entry \d+ has another hash/,
        'a fork');

    # a chain of another store
    $t->ctl_ok("--store=$dir/another", qw(init --plain-secrets));
    $t->ctl_ok("--store=$dir/another", qw(partner create late));
    like(verify_at("$dir/another", @with), qr/^1 .*those of another store/,
        'heads of another store');
    copy("$dir/another/registry/data.mdb", $file = "$store/registry/data.mdb");
    like(verify_at($store), qr/^1 .*registry\/: entry 1 does not match its hash/,
        'the chain of another store');

    # pruned up to the old head; the anchor vouches for what is gone
    $store = copy_store('pruned');
    like($t->ctl_ok("--store=$store", qw(audit prune), @with,
        '--before=2099-01-01T00:00:00Z'), qr/^registry\s+\d+ entries$/m,
        'pruned');
    is(verify_at($store, "--heads=$h3", "--audit-key=$dir/a.pub"), '0 ',
        'the rest is valid');
    is(verify_at($store, @with), '0 ', 'and has its anchor');
    like(verify_at($store, "--audit-key=$dir/b.pub"),
        qr/^1 .*: the anchor: the heads are signed by another key/,
        'the anchor is checked');
    like(($t->ctl("--store=$store", qw(audit prune), @with,
        '--before=2001-01-01T00:00:00Z'))[2],
        qr/no signed heads from before that time: nothing was pruned/,
        'nothing that was not signed is pruned');

    # a backup has it all
    $t->ctl_ok('backup', "$dir/backup");
    $t->ctl_ok('restore', "$dir/backup", "$dir/restored");
    is(verify_at("$dir/restored", "--heads=$h3", "--audit-key=$dir/a.pub"),
        '0 ', 'so has a restored store');
    ok((grep { $_->{action} eq 'restore' } map { decode_json($_) } split /\n/,
        $t->ctl_ok("--store=$dir/restored", qw(audit list --json))),
        'whose audit says so');
}

# An export is verified without its store.  Each attack is on a copy of it.
sub offline {
    my @lines = split /^/, $t->ctl_ok(qw(audit export),
        "--audit-key=$dir/a.pem");
    my $key = "--audit-key=$dir/a.pub";
    my $newest = $t->write_file('newest', $lines[-1]);
    my $check = sub {
        my ($text, @args) = @_;
        my $file = $t->write_file('copy', join '', @$text);
        my ($rc, $out, $err) = $t->ctl('--store=', qw(audit verify --quiet),
            "--file=$file", @args);
        return "$rc $err";
    };
    my @of = grep { $lines[$_] =~ /^\{"chain":"registry"/ } 0 .. $#lines;
    my $changed = sub {
        my ($how, @at) = @_;
        my @copy = @lines;
        $how->(\@copy, @at);
        return \@copy;
    };

    is($check->(\@lines, $key), '0 ', 'an export is verified without a store');
    is($check->(\@lines, $key, "--heads=$newest"), '0 ', 'with other heads, too');
    like($t->ctl_ok('--store=', qw(audit verify), "--file=$dir/copy", $key),
        qr/^registry +entries 1 to \d+$/m, 'and says what it has');
    like($check->(\@lines), qr/^2 .*--file needs --audit-key/, 'not without a key');
    like($check->(\@lines, "--audit-key=$dir/b.pub"),
        qr/^1 .*copy:\d+: the heads are signed by another key/, 'another key');
    like($check->(\@lines, "--audit-key=$dir/none"),
        qr/^1 .*cannot be opened/, 'no key file');
    like(($t->ctl('--store=', qw(audit verify), "--file=$dir/none", $key))[2],
        qr/cannot open ".*none"/, 'no such export');

    # every byte of a line matters
    my $line = $lines[$of[3]];
    my $bad = 0;
    for my $i (0 .. length($line) - 2) {
        next if $i % 7 && $i > 130;
        my $other = substr($line, $i, 1) eq '0' ? '1' : '0';
        $bad++ if $check->($changed->(sub {
            substr($_[0][$of[3]], $i, 1) = $other }), $key) !~ /^1 /;
    }
    is($bad, 0, 'a changed byte, wherever it is in the line');
    like($check->($changed->(sub { $_[0][$of[3]] =~ s/"action"/ "action"/ }), $key),
        qr/^1 .*copy:\d+: registry\/: entry 4 does not match its hash/,
        'an added space');
    like($check->($changed->(sub { $_[0][$of[3]] =~ s/}$/}}/ }), $key),
        qr/^1 .*entry 4 does not match/, 'an added bracket');

    # order and number of lines
    like($check->($changed->(sub { splice @{ $_[0] }, $of[3], 1 }), $key),
        qr/^1 .*registry\/: entry 4 is missing/, 'a deletion');
    like($check->($changed->(sub { @{ $_[0] }[@of[3, 4]] = @{ $_[0] }[@of[4, 3]] }), $key),
        qr/^1 .*registry\/: entry 4 is missing/, 'a swap');
    like($check->($changed->(sub { splice @{ $_[0] }, $of[3], 0, $_[0][$of[3]] }), $key),
        qr/^1 .*entry 5 is missing/, 'an entry twice');
    like($check->($changed->(sub { splice @{ $_[0] }, $of[0], 1 }), $key),
        qr/^1 .*entry 2 is the first, and no signed head has the one before it/,
        'the first entry is gone');
    like($check->($changed->(sub { splice @{ $_[0] }, $of[-1], 1 }), $key),
        qr/^1 .*copy: registry\/: the chain ends at entry \d+, but a signed head/,
        'the last entry is gone');
    my @other = grep { !/"chain":"registry"/ } @lines;
    like($check->(\@other, $key), qr/^1 .*the chain ends at entry 0/,
        'a whole chain is gone');
    my @cut = @lines[0 .. $#lines - 1];
    like($check->(\@cut, $key), qr/^1 .*has no signed heads/,
        'the heads are gone, and no others are given');
    splice @cut, $of[-1], 1;
    like($check->(\@cut, $key, "--heads=$newest"),
        qr/^1 .*the chain ends at entry/, 'with the last entry, against others');

    # up to where an older head goes, a cut cannot be seen
    my $old = $t->write_file('oldest', $t->read_file('h1'));
    is($check->(\@cut, $key, "--heads=$old"), '0 ',
        'what came after the newest head that is given cannot be proven');

    # a fork, and another store
    my $store = copy_store('fork');
    $t->ctl_ok(qw(partner create mine));
    my $mine = head('mine');
    $t->ctl_ok("--store=$store", qw(partner create theirs));
    my @fork = split /^/, $t->ctl_ok("--store=$store", qw(audit export),
        "--audit-key=$dir/a.pem");
    is($check->(\@fork, $key), '0 ', 'a fork alone is sound');
    like($check->(\@fork, $key, "--heads=$mine"),
        qr/^1 .*registry\/: the signed head of entry \d+ has another hash/,
        '... and is found by a head of the other one');
    my @another = split /^/, $t->ctl_ok("--store=$dir/another",
        qw(audit export), "--audit-key=$dir/a.pem");
    like($check->(\@another, $key, "--heads=$mine"),
        qr/^1 .*the heads are those of another store/, 'another store');
    like($check->([@another[0 .. $#another - 1]], $key, "--heads=$mine"),
        qr/^1 .*entry 1 does not match its hash/, '... without its heads');

    # a pruned chain begins at the head that vouches for the rest
    $t->ctl_ok("--store=$store", qw(audit prune), "--heads=$h2", $key,
        '--before=2099-01-01T00:00:00Z');
    my @pruned = split /^/, $t->ctl_ok("--store=$store", qw(audit export),
        "--audit-key=$dir/a.pem");
    is($check->(\@pruned, $key), '0 ', 'a pruned store');
    my ($n) = map { decode_json($_)->{heads}{registry}{sequence} }
        $t->read_file('h2');
    my @begun = grep { !/^\{"chain":"registry","sequence":(\d+)/ || $1 > $n }
        @fork;
    like($check->(\@begun, $key, "--heads=$h2"),
        qr/^1 .*the entries up to $n are missing, and no entry says that they were/,
        'a beginning that was cut off is not a pruned one');
}

# A store of a build without an audit, which has records and no chain.
sub older {
    my $store = copy_store('older');
    for my $env (qw(log registry delivery checkpoints)) {
        is(system($t->build . '/helper/damage', "$store/$env", 'audit', '-', 'drop'), 0,
            "$env/ has no chain");
    }
    my @audit = ("--store=$store", qw(audit list --json));
    is($t->ctl_ok(@audit), '', 'nothing is listed');
    like(verify_at($store), qr/^0 /, 'nothing is wrong');
    like(verify_at($store, "--heads=$h1", "--audit-key=$dir/a.pub"),
        qr/^1 .*: the chain ends at entry 0, but a signed head/,
        '... unless heads were signed before');
    my @export = split /^/, $t->ctl_ok("--store=$store", qw(audit export),
        "--audit-key=$dir/a.pem");
    is(scalar @export, 1, 'an export has only the heads');
    $t->write_file('empty', @export);
    is(($t->ctl('--store=', qw(audit verify --quiet), "--file=$dir/empty",
        "--audit-key=$dir/a.pub"))[0], 0, '... which verify');

    $t->ctl_ok("--store=$store", qw(partner create first-change));
    my @new = map { decode_json($_) } split /\n/, $t->ctl_ok(@audit);
    is(join(' ', map { "$_->{chain} $_->{sequence} $_->{action} $_->{kind}" } @new),
        'registry 1 begin audit registry 2 create partner',
        'the next change begins the chain');
    like(verify_at($store), qr/^0 /, '... which is sound');
}

# Nothing falls open: without a good key nothing is signed or verified.
sub keys_fail {
    my @export = qw(audit export);
    my $refused = sub {
        my ($rc, $out, $err) = $t->ctl(@_);
        return "$rc $out$err";
    };

    like($refused->(@export, "--audit-key=$dir/none.pem"),
        qr/^1 eventsyncctl: audit key ".*" cannot be opened: No such file/,
        'a missing key');
    $t->write_file('bad.pem', "-----BEGIN PRIVATE KEY-----\nAAAA\n"
        . "-----END PRIVATE KEY-----\n");
    chmod 0600, "$dir/bad.pem";
    like($refused->(@export, "--audit-key=$dir/bad.pem"),
        qr/^1 .*is not an ed25519 key in PEM/, 'a damaged key');
    like($refused->(@export, "--audit-key=$dir/a.pub"),
        qr/^1 .*must be a file of mode 0600 or 0640|is not an ed25519/,
        'a public key');
    system("openssl genpkey -algorithm x25519 -out $dir/x.pem 2>/dev/null; "
        . "chmod 600 $dir/x.pem");
    like($refused->(@export, "--audit-key=$dir/x.pem"),
        qr/^1 .*is not an ed25519 key in PEM/, 'a key of another kind');
    chmod 0644, "$dir/a.pem";
    like($refused->(@export, "--audit-key=$dir/a.pem"),
        qr/^1 .*must be a file of mode 0600 or 0640, not 0644/,
        'a key that others can read');
    chmod 0600, "$dir/a.pem";
    like($refused->(qw(audit verify), "--heads=$h2", "--audit-key=$dir/none"),
        qr/^1 .*cannot be opened/, 'a missing public key');
    like($refused->(qw(audit verify), "--heads=$dir/none",
        "--audit-key=$dir/a.pub"), qr/^1 .*cannot open/, 'missing heads');
}

sub rekeys {
    $t->write_file('keys', `openssl rand -base64 32`);
    chmod 0600, "$dir/keys";
    one('store rekey', 'rekey store ', "--key-file=$dir/keys");
}
