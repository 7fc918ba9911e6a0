#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A partner is offboarded: everything of it is gone from every byte of the
# store, a signed receipt says what it was, and a run that is killed at any
# moment can be completed.

use warnings;
use strict;

use File::Find qw(find);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
$t->store_init->feed('orders');

for my $name (qw(a b)) {
    is(system("openssl genpkey -algorithm ed25519 -out $dir/$name.pem "
        . "2>/dev/null && openssl pkey -in $dir/$name.pem -pubout "
        . "-out $dir/$name.pub && chmod 600 $dir/$name.pem"), 0, 'a key');
}
my $n = 0;

# How often a text is in the files of the store, those of one folder or all.
sub found {
    my ($what, $in) = @_;
    my $count = 0;
    find({ no_chdir => 1, wanted => sub {
        return if !-f;
        open my $fh, '<:raw', $_ or die "$_: $!\n";
        local $/;
        my $text = <$fh>;
        $count++ while $text =~ /\Q$what\E/g;
    } }, $t->store . ($in // ''));
    return $count;
}

sub offboard {
    my ($partner, @args) = @_;
    return $t->ctl(qw(partner offboard), $partner, @args);
}

sub really {
    my ($partner, $expect, @args) = @_;
    return offboard($partner, "--expect=$expect", "--audit-key=$dir/a.pem",
        "--receipt=$dir/receipt" . ++$n, @args);
}

my $recv = $t->receiver(sub { { status => 500, body => 'CANARYANSWER' } });

# A partner with all that one can have.  Returns the secret and the key's text.
sub make {
    my ($name) = @_;
    $t->feed("private-$name")->feed("ops-$name");
    my $key = $t->partner_key($name, feeds => "orders,private-$name",
        operations => "ops-$name", scopes => 'read,ack,manage');
    my $secret = 'whsec_' . encode_base64("CANARY$name" . ('s' x 18), '');
    my $path = "CANARYPATH$name";
    my ($endpoint) = $t->endpoint($name, url => $recv->url . "/$path",
        feeds => 'orders', start => 'oldest', schedule => '0,1h',
        secret => $secret, headers => '{"x-token":"CANARYHEADER"}');
    return { key => $key, secret => $secret, endpoint => $endpoint,
        path => $path };
}

my %acme = %{ make('acme') };
my %other = %{ make('other') };
my ($gone) = $t->endpoint('acme', url => $recv->url, feeds => 'orders');
$t->ctl_ok(qw(endpoint remove), $gone);
$t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_") . "\n" } 1 .. 3 },
    qw(publish orders));
$t->ctl_ok({ stdin => $t->event(id => 'CANARYEVENT') }, qw(publish private-acme));
my $cursor = decode_json((split /\n/, $t->ctl_ok(qw(tail orders)))[0])->{cursor};
$t->ctl_ok(qw(checkpoint set acme orders billing), $cursor);
$t->run_dispatcher;
ok(wait_for(sub { $t->ctl_ok(qw(endpoint attempts), $acme{endpoint}) =~ /500/ },
    20), 'an attempt is recorded');
ok(wait_for(sub { found('CANARYANSWER', '/delivery') > 0 }, 20), '... in the store');
$t->ctl_ok(qw(endpoint rotate), $acme{endpoint});
isnt(found($acme{secret}), 0, 'the secret is in the store');

###############################################################################
# what is refused

my ($rc, $out, $err) = offboard('nobody', '--dry-run');
is("$rc $err", "1 eventsyncctl: no partner \"nobody\"\n", 'no such partner');
($rc, undef, $err) = offboard('acme');
is($rc, 2, 'neither --dry-run nor --expect');
($rc, undef, $err) = offboard('acme', '--expect=3');
like("$rc $err", qr/^2 .*--expect needs --audit-key and --receipt/, 'no receipt');
for (['none', qr/cannot be opened/], ['bad', qr/is not an ed25519 key/]) {
    my ($file, $why) = @$_;
    $t->write_file('bad', "no key\n");
    chmod 0600, "$dir/bad";
    ($rc, undef, $err) = offboard('acme', '--expect=3', "--audit-key=$dir/$file",
        "--receipt=$dir/r");
    like("$rc $err", qr/^1 .*$why/, "a key that is $file");
}
($rc, $out) = offboard('acme', '--dry-run');
is($rc, 0, 'a dry run');
like($out, qr/^key [a-z2-7]{10}\nendpoint \Q$acme{endpoint}\E: \d+ attempts, \d+ dead letters, \d+ waiting events\nendpoint \Q$gone\E: .*\n1 checkpoints\n3 keys, endpoints and feeds would be deleted$/m,
    '... says what there is, also of removed endpoints');
($rc, $out) = offboard('acme', '--dry-run', '--private-feeds');
like($out, qr/^feed ops-acme: \d+ events\nfeed private-acme: 1 events\n/m,
    '... and with the option private feeds');
unlike($out, qr/feed orders|other/, '... and none that others may read');
($rc, undef, $err) = really('acme', 4);
like("$rc $err", qr/^1 .*has 3 keys, endpoints and feeds to delete, and not 4: nothing/,
    'another number');
$t->write_file('receipt' . ($n + 1), 'x');
($rc, undef, $err) = really('acme', 3);
like("$rc $err", qr/^1 .*exists already: nothing was deleted/, 'a receipt that is there');
$t->ctl_ok(qw(feed hold private-acme --reason=case));
($rc, undef, $err) = really('acme', 5, '--private-feeds');
like("$rc $err", qr/^1 .*private feed "private-acme" is held: nothing was deleted/,
    'a private feed that is held');
$t->ctl_ok(qw(feed release private-acme));
is($t->ctl_ok(qw(partner show acme)) =~ /"feeds"/ ? 1 : 0, 1, 'nothing was deleted');
ok(!-e "$dir/r", '... and no receipt was written');

###############################################################################
# beside a dispatcher

my $sent = $recv->count;
($rc, $out, $err) = really('acme', 5, '--private-feeds');
is($rc, 0, 'the partner is offboarded') or diag($err);
like($out, qr/^5 keys, endpoints and feeds deleted$/m, '... and says so');
ok(wait_for(sub { $t->{dispatcher}->running }, 1), 'the dispatcher runs');
for my $what (qw(CANARYANSWER CANARYEVENT), $acme{secret},
    substr($acme{key}, 15, 40), 'CANARYPATHacme/')
{
    is(found($what, $_), 0, "no byte of $what is in $_")
        for $what eq 'CANARYANSWER' ? '/registry' : '', '/checkpoints';
}
is(found('CANARYPATHacme', '/delivery'), 0, 'no URL is in delivery/');
is(found('CANARYPATHacme'), scalar(() = $t->ctl_ok(qw(audit list)) =~ /CANARYPATHacme/g),
    '... and elsewhere only in the audit');
for (['partner', 'acme'], ['endpoint', $acme{endpoint}]) {
    isnt(($t->ctl(@$_[0], 'show', @$_[1]))[0], 0, "no $_->[0] is left");
}
is($t->ctl_ok(qw(feed list)) =~ /acme/ ? 1 : 0, 0, 'nor a private feed');
is(decode_json($t->ctl_ok(qw(partner show other)))->{name} // 'other', 'other',
    'the other partner is there');
is(($t->ctl(qw(checkpoint show acme orders billing)))[0], 1, 'nor a checkpoint');
isnt(found($other{secret}), 0, '... with its secret');
ok($t->verify, 'the store is sound');
like(($t->ctl(qw(partner offboard acme --dry-run)))[2], qr/no partner "acme"/,
    'nothing is left to do');

# the same name begins anew
$t->{partners} = {};
$t->partner_key('acme', feeds => 'orders');
my $again = $t->endpoint('acme', url => $recv->url, feeds => 'orders');
is($t->ctl_ok(qw(endpoint attempts), $again), '', 'a new partner of the name has nothing');

###############################################################################
# the receipt and the audit

my $receipt = "$dir/receipt$n";
my $said = decode_json($t->ctl_ok(qw(audit receipt), $receipt,
    "--audit-key=$dir/a.pub"));
is($said->{deleted}{partner}, 'acme', 'the receipt names the partner');
is(scalar @{ $said->{deleted}{keys} }, 1, '... its key');
is_deeply([ sort map { $_->{name} } @{ $said->{deleted}{endpoints} } ],
    [ sort $acme{endpoint}, $gone ], '... its endpoints');
cmp_ok($said->{deleted}{endpoints}[0]{attempts}, '>', 0, '... with their attempts');
is($said->{deleted}{checkpoints}, 1, '... its checkpoint');
is_deeply([ map { $_->{name} } @{ $said->{deleted}{feeds} } ],
    [qw(ops-acme private-acme)], '... and its feeds');
unlike($t->read_file("receipt$n"), qr/CANARY/, '... and has no secret');
$t->write_file('heads', JSON::PP->new->canonical->encode($said->{heads}) . "\n");
is(($t->ctl(qw(audit verify --quiet), "--heads=$dir/heads", "--audit-key=$dir/a.pub"))[0],
    0, 'the audit has the heads of the receipt');
my @actions = map { "$_->{chain} $_->{action} $_->{kind}" } grep
    { ($_->{partner} // '') eq 'acme' && $_->{by} ne 'dispatcher' } map { decode_json($_) }
    split /\n/, $t->ctl_ok(qw(audit list --json));
for my $action ('registry offboard partner', 'registry remove key',
    'registry remove endpoint', 'delivery offboard partner')
{
    is(scalar(grep { $_ eq $action } @actions) > 0, 1, "the audit has: $action");
}

for (['another key', "--audit-key=$dir/b.pub", sub { $_[0] }, qr/another key has signed/],
    ['no key', "--audit-key=$dir/none", sub { $_[0] }, qr/cannot be opened/],
    ['a changed byte', "--audit-key=$dir/a.pub", sub { $_[0] =~ s/"checkpoints":1/"checkpoints":2/r },
        qr/the signature is wrong/],
    ['no signature', "--audit-key=$dir/a.pub", sub { $_[0] =~ s/\n.*/\n/sr }, qr/is not a receipt/],
    ['a cut', "--audit-key=$dir/a.pub", sub { substr $_[0], 0, -3 }, qr/is not a receipt/],
    ['heads', "--audit-key=$dir/a.pub", sub { $t->read_file('heads') x 2 }, qr/there is no signature/])
{
    my ($name, $key, $how, $why) = @$_;
    my $file = $t->write_file('changed', $how->($t->read_file("receipt$n")));
    ($rc, undef, $err) = $t->ctl(qw(audit receipt), $file, $key);
    like("$rc $err", qr/^1 .*$why/, "a receipt with $name is refused");
}

###############################################################################
# a run that is killed before it is complete, and a hold that comes in between

# A run waits for a dispatcher as long as its last heartbeat is young.

my %late = %{ make('late') };
ok(wait_for(sub { $t->ctl_ok(qw(endpoint attempts), $late{endpoint}) =~ /500/ },
    20), 'another partner has attempts');
is($t->stop_dispatcher, 0, 'stop');
my @late = (qw(partner offboard late --expect=4 --private-feeds),
    "--audit-key=$dir/a.pem", "--receipt=$dir/late");
my $proc = $t->ctl_start(@late);
ok(wait_for(sub { ($t->ctl(qw(partner show late)))[0] }, 20), 'it is removed at once');
$proc->stop('KILL');
$t->forget($proc);
SKIP: {
skip 'the run was faster than the test', 8 if -e "$dir/late";
like(($t->ctl(qw(doctor --offline)))[1],
    qr/the offboarding of the partner late was interrupted/, 'doctor says so');
$t->ctl_ok(qw(feed hold private-late --reason=case));
like(($t->ctl(qw(partner offboard late --dry-run)))[2],
    qr/was interrupted: this run would complete it/, '... and a dry run');
($rc, $out, $err) = $t->ctl(@late);
is($rc, 0, 'a dispatcher that has ended is not waited for') or diag($err);
like($err, qr/was interrupted: this run completes it/, '... and the run is completed');
like($out, qr/^feed private-late: 0 events, kept: it is held$/m,
    'the feed that is held is kept');
is_deeply([ map { [$_->{name}, $_->{kept}] } @{ decode_json($t->ctl_ok(qw(audit receipt),
    "$dir/late", "--audit-key=$dir/a.pub"))->{deleted}{feeds} } ],
    [['ops-late', undef], ['private-late', JSON::PP::true()]], '... as the receipt says');
like($t->ctl_ok(qw(feed list)), qr/^private-late .* held$/m, '... with its feed');
$t->ctl_ok(qw(feed release private-late));
}

###############################################################################
# without a dispatcher, and killed at any moment

($rc, $out, $err) = really('other', 4, '--private-feeds');
is($rc, 0, 'without a dispatcher') or diag($err);
is(found($other{secret}), 0, 'its secret is gone');
is(found('CANARYANSWER'), 0, '... and the answers');

my $completed = 0;
for my $round (1 .. 8) {
    my %p = %{ make("p$round") };
    my $file = "$dir/killed$round";
    my @command = ('partner', 'offboard', "p$round", '--expect=4', '--private-feeds',
        "--audit-key=$dir/a.pem", "--receipt=$file");
    my $proc = $t->ctl_start(@command);
    sleep 0.012 * $round;
    $proc->stop('KILL');
    $t->forget($proc);
    ($rc, $out, $err) = $t->ctl(@command);
    if ($rc == 1 && $err =~ /no partner|exists already/) {
        $completed++;              # it was faster
    } else {
        is($rc, 0, "round $round is completed") or diag($err);
    }
    is(found($p{secret}), 0, '... and its secret is gone');
    is(decode_json($t->ctl_ok(qw(audit receipt), $file, "--audit-key=$dir/a.pub"))
        ->{deleted}{partner}, "p$round", '... with the receipt of the whole');
    unlike($t->ctl_ok(qw(feed list)), qr/p$round /, '... and without its feeds');
}
cmp_ok($completed, '<', 8, 'some were killed');
ok($t->verify, 'the store is sound');

done_testing();
