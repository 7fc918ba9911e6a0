#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl doctor: each check finds its fault, which the test makes, and
# says what to do.  t/ctl/doctor_around.t has nginx and the network.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my ($faketime) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
my $t = webhook_store();
$faketime = undef if $t->sanitized;

# The checks of a run by name.  A hash in front is that of ctl().
my ($rc, $err);
sub doctor {
    my (@args) = @_;
    my $opts = ref $args[0] ? shift @args : {};
    ($rc, my $out, $err) = $t->ctl($opts, 'doctor', '--offline',
        '--nginx=/nothing/there', '--json', @args);
    my %checks;
    push @{ $checks{ $_->{check} } }, $_ for @{ decode_json($out)->{checks} };
    return \%checks;
}

# What a check says: "warn: text -> next".
sub said {
    my ($checks, $name) = @_;
    return join "\n", map { "$_->{state}: $_->{text}"
        . (defined $_->{next} ? " -> $_->{next}" : '') }
        @{ $checks->{$name} // [] };
}
sub at_time {
    my ($shift) = @_;
    return { env => { LD_PRELOAD => $faketime, FAKETIME => $shift,
        FAKETIME_DONT_FAKE_MONOTONIC => 1 } };
}

###############################################################################
# a store that is well, and one that is none

put($t, 'orders', 3);
my $checks = doctor();
is($rc, 0, 'nothing fails');
like(said($checks, 'store'), qr/^ok: /, 'the store opens');
like(said($checks, $_), qr/^ok: /, "$_ is well")
    for qw(map readers log-clock id-index backlog endpoints);
like(said($checks, 'space'), qr/^\w+: the disk has \d+ MB free of \d+ MB/,
    'the disk');
like(said($checks, 'clock'), qr/^(?:ok|warn|skipped): /, 'the kernel\'s clock');
is(said($checks, 'nginx'),
    'skipped: there is no program "/nothing/there"', 'no nginx');
like(said($checks, 'dispatcher'), qr/^warn:\ no\ dispatcher\ has\ ever\ run\ .*
    \ ->\ systemctl\ start\ eventsync-dispatcher$/x, 'no dispatcher yet');

($rc, my $out, $err) = $t->ctl('doctor', '--offline', '--nginx=/nothing/there');
is($rc, 0, 'for people');
like($out, qr/^ok       store: the store can be opened and mapped$/m, 'lines');
like($out, qr/^warn     dispatcher: [^\n]*\n    next: systemctl start /m,
    'with what to do');
like($out, qr/^\d+ ok, \d+ to look at, 0 failed, \d+ skipped\n\z/m, 'and a sum');

{
    local $t->{store} = $t->testdir . '/none';
    $checks = doctor();
    like(said($checks, 'store'), qr/^fail: .* -> name the store with --store/,
        'no store');
    is($rc, 1, 'exits with 1');
    like($err, qr/\A[^\n]*\d+ checks? failed[^\n]*\n\z/, 'in one line');
    like(said($checks, 'records'), qr/^skipped: /, 'the rest is skipped');

    mkdir $t->store;
    $t->write_file('none/format', "eventsync-store 3\nidentity 00\n");
    like(said(doctor(), 'store'), qr/^fail: .* format 3, but .* -> see Upgrade/,
        'a store of another format');
}
for ([2, 'no store: use --store', '--store='], [1, 'no endpoint "nobody"',
    'nobody'], [2, 'unexpected argument "b"', 'a', 'b'])
{
    my ($status, $line, @args) = @$_;
    ($rc, undef, $err) = $t->ctl('doctor', '--offline', @args);
    is($rc, $status, "refused: @args");
    like($err, qr/\Aeventsyncctl: \Q$line\E[^\n]*\n\z/, 'in one line');
}

###############################################################################
# rights

SKIP: {
    skip 'only root can give files away', 7 if $> != 0;
    my $store = $t->store;
    is(said(doctor(), 'rights'), 'warn: all processes of the store have the '
        . 'same rights: "store rights" was never run on it -> eventsyncctl '
        . 'store rights --group=eventsync --dispatcher=eventsync',
        'rights were never given');
    my @rights = ('store', 'rights', '--group=61200', '--dispatcher=61207',
        map { "--$_->[0]=$_->[1]" } [publish => 61201], [manage => 61202],
        [ack => 61203], [pages => 61204], [delivery => 61205]);
    $t->ctl_ok(@rights);
    like(said(doctor(), 'rights'), qr/^ok: /, 'they were given');
    chmod 0777, $store;
    is(said(doctor(), 'rights'), 'fail: all users of this computer may enter '
        . "the store (mode 0777) -> chmod o= $store", 'others may enter');
    $t->ctl_ok(@rights);
    chmod 0666, "$store/log/data.mdb";
    is(said(doctor(), 'rights'), 'fail: "log/data.mdb" has mode 0666 instead '
        . 'of 0664 -> eventsyncctl store rights --group=61200 '
        . '--dispatcher=61207', 'a wrong mode');
    $t->ctl_ok(@rights);
    chown 0, 0, "$store/delivery/data.mdb";
    like(said(doctor(), 'rights'), qr{^fail:\ "delivery/data.mdb"\ belongs\ to
        \ group\ 0\ instead\ of\ 61205\ }x, 'a wrong group');
    chmod 02777, "$store/registry";
    like(said(doctor(), 'rights'), qr/, and there are others -> /, 'several');
    $t->ctl_ok(@rights);
    is(system('chown', '-R', '0:0', $store), 0, 'all belongs to root again');
}

###############################################################################
# the disk and the environments

my $small = $t->testdir . '/small';
SKIP: {
    skip 'cannot mount a small disk', 3 if !$t->small_disk($small, '200m');
    local $t->{store} = "$small/store";
    $t->store_init;
    like(said(doctor(), 'filesystem'), qr/^warn:\ the\ store\ is\ on\ tmpfs:\ a\ .*\ ->
        \ move\ the\ store/x, 'a store in memory');
    system("mount -o remount,ro $small");
    is(said(doctor(), 'space'), 'fail: the disk is mounted read-only -> dmesg',
        'a disk that is mounted read-only');
    system("mount -o remount,rw $small");
    system("head -c 150m /dev/zero > $small/fill");
    like(said(doctor(), 'space'), qr/^fail:\ the\ disk\ has\ \d+\ MB\ free\ of\ 200\ MB
        \ ->\ make\ room/x, 'a full disk');
}

{
    local $t->{store} = $t->testdir . '/tight';
    $t->store_init;
    my $format = $t->read_file('tight/format');
    $t->feed('orders');
    put($t, 'orders', { data => 'x' x 200000 }) for 1 .. 6;
    $t->write_file('tight/format', $format =~ s/^map_max.*/map_max 1500000/mr);
    like(said(doctor(), 'map'), qr{^warn:\ log/\ uses\ 1\ MB\ of\ the\ 1\ MB\ of\ map_max
        \ ->\ raise\ map_max\ in\ \S+/format}x, 'a map near its limit');
}

my $reader = $t->start('reader', {}, $t->build . '/helper/reader', $t->store);
ok(wait_for(sub { $reader->stdout =~ /reading/ }), 'a program reads');
$t->ctl_ok({ stdin => join '', map { $t->event . "\n" } 1 .. 1002 },
    'publish', 'orders', '--batch=1');
my $pid = $reader->pid;
like(said(doctor(), 'readers'), qr{^warn:\ process\ $pid\ reads\ log/\ as\ it\ was
    \ 1\d\d\d\ commits\ ago.*\ ->\ let\ the\ process\ go\ on,\ or\ end\ it:
    \ ps\ -p\ $pid$}x, 'and does not end');
$reader->stop('KILL');
like(said(doctor(), 'readers'), qr/^ok/, 'it is dead');

system('rm', '-r', $t->store . '/ids');
like(said(doctor(), 'id-index'), qr/^warn:\ the\ index\ of\ ids\ is\ missing,\ .*\ for
    \ 1005\ events\ ->\ let\ a\ producer/x, 'no index');
put($t, 'orders', 1);
like(said(doctor(), 'id-index'), qr/^ok/, 'the next publish has filled it');

###############################################################################
# time

SKIP: {
    skip 'needs faketime, and no sanitizer', 6 if !$faketime;
    $checks = doctor(at_time('+2h'));
    is(said($checks, 'log-clock') =~ s/0d (?:01:59|02:00):\d\d/SPAN/r,
        'fail: this computer\'s clock is SPAN ahead of the store\'s time -> '
        . 'set the clock by NTP: timedatectl', 'a clock that is ahead');
    is($rc, 1, 'fails');
    $checks = doctor(at_time('-2h'));
    like(said($checks, 'log-clock'), qr/^fail: .* behind /, 'one behind');
    like(said($checks, 'feed-time'), qr/^warn:\ the\ last\ event\ of\ feed\ orders\ is
        \ dated\ in\ the\ future.*\ ->\ eventsyncctl\ feed\ retime\ orders$/x,
        'its events are of the future');
    $t->ctl_ok('feed', 'change', 'orders', '--retain-age=1h');
    like(said(doctor(at_time('+3h')), 'retention'), qr/^warn:\ no\ process\ applies
        \ the\ limits\ of\ feed\ orders\ since\ \S+Z\ ->\ systemctl/x,
        'limits that nobody applies');
    $t->ctl_ok('feed', 'change', 'orders', '--retain-age=0');
}

{
    $t->feed('history');
    my $text = join '', map { qq({"specversion":"1.0","id":"h$_","source":"/h",)
        . qq("type":"t"}\n) } 1 .. 100_200;
    $t->ctl_ok({ stdin => $text }, qw(publish history));
    is(said(doctor(), 'packing'), 'warn: 100100 events of feed history wait to '
        . 'be packed -> eventsyncctl feed pack history', 'history that is not packed');
    $t->ctl_ok(qw(feed change history --pack=off));
    is(said(doctor(), 'packing'), '', 'and that must not be packed');
    $t->ctl_ok(qw(feed remove history));
}

###############################################################################
# keys and endpoints

$t->ctl_ok('key', 'create', 'acme', '--scopes=publish');
like(said(doctor(), 'publisher-keys'), qr/^warn:\ 1\ of\ 1\ keys\ that\ may\ publish
    \ never\ expire,\ such\ as\ [a-z2-7]{10}\ ->\ .*\ key\ revoke\ /x,
    'a key for ever');
my $soon = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 86400));
$t->ctl_ok('partner', 'create', 'other', '--feeds=orders');
$t->ctl_ok('key', 'create', 'other', '--scopes=read', "--expires=$soon");
like(said(doctor(), 'keys'), qr/^warn: key \S+ of other expires at /,
    'a key that expires');
is(said(doctor('acme'), 'keys'), '', 'not if another partner is named');
$t->ctl_ok('partner', 'create', 'late', '--feeds=orders');
$t->ctl_ok('key', 'create', 'late', '--scopes=read', '--expires=2026-01-01T00:00:00Z');
like(said(doctor('late'), 'keys'), qr/^warn:\ key\ (\S+)\ of\ late\ has\ expired\ at\ 2026-01-01T
    .*\ later:\ eventsyncctl\ key\ remove\ \1$/x, 'or has expired');
$t->ctl_ok('partner', 'change', 'late', '--disabled');
is(said(doctor('late'), 'keys'), '', 'not of a disabled partner');

my $recv = $t->receiver(sub { $_[0]{path} eq '/gone' ? 410 : 500 });
my $gone = $t->endpoint('acme', feeds => 'orders', url => $recv->url('/gone'),
    start => 'oldest');
my $bad = $t->endpoint('acme', feeds => 'orders', url => $recv->url('/bad'));
system('cp', $t->build . '/eventsync-dispatcher', $t->testdir);
$t->{dispatcher} = $t->start('dispatcher', {}, 'sh', '-c', 'ulimit -n 400; '
    . 'exec "$@"', 'sh', $t->testdir . '/eventsync-dispatcher',
    '--store=' . $t->store, @Test::Eventsync::DISPATCHER_OPTS);
ok(wait_for(sub { said(doctor(), 'endpoint') =~ /^warn:\ the\ endpoint\ is\ stopped
    \ ->\ eventsyncctl\ explain\ $gone$/x }), 'a stopped endpoint');
$checks = doctor($bad);
is(said($checks, 'endpoint'), '', 'not if another one is named');
is(said($checks, 'endpoints'), 'ok: 1 of 1 are active, or were stopped on purpose',
    '... which is active');
$checks = doctor();
like(said($checks, 'dispatcher'), qr/^ok: process \d+ runs$/, 'the dispatcher');
like(said($checks, 'limits'), qr/^warn:\ the\ dispatcher\ may\ have\ 400\ open\ files.*
    \ ->\ set\ LimitNOFILE=4352\ /x, 'its limit of files');
unlink $t->testdir . '/eventsync-dispatcher';
like(said(doctor(), 'dispatcher'), qr/^warn:\ process\ \d+\ runs\ a\ program\ that
    \ was\ replaced\ since\ ->\ systemctl\ restart/x, 'its program is another');
ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $bad) =~ /behind=0/ }),
    'an endpoint that has all');
$t->stop_dispatcher;
SKIP: {
    skip 'needs faketime, and no sanitizer', 2 if !$faketime;
    $checks = doctor(at_time('+40s'));
    like(said($checks, 'dispatcher'), qr/^fail:\ no\ dispatcher\ runs\ since\ \S+Z\ ->
        \ systemctl\ start/x, 'it has ended');
    is($rc, 1, 'which fails');
}
$t->ctl_ok({ stdin => join '', map { $t->event . "\n" } 1 .. 10001 },
    'publish', 'orders');
like(said(doctor($bad), 'backlog'), qr/^warn:\ 1000\d\ events\ of\ feed\ orders\ are
    \ not\ delivered\ yet\ ->\ eventsyncctl\ explain\ $bad$/x, 'a backlog');

like(join('', `bash -c 'ulimit -v 8000000; BUILD=x; exec @{[ $t->build
    ]}/eventsyncctl --store=@{[ $t->store ]} doctor --offline --nginx=/no 2>&1'`),
    qr/^warn     limits: the address space of this shell is limited to 7812 MB/m,
    'a limit of address space') if !$t->sanitized;

SKIP: {
    my $group = "/sys/fs/cgroup/eventsync-test-$$";
    skip 'no control groups of version 2', 1
        if !-e '/sys/fs/cgroup/cgroup.controllers' || !mkdir $group;
    $t->at_end(sub { rmdir $group });
    skip 'they have no limit of memory', 1 if !-e "$group/memory.max";
    system("echo 100M > $group/memory.max");
    like(join('', `sh -c 'echo \$\$ > $group/cgroup.procs; exec @{[ $t->build
        ]}/eventsyncctl --store=@{[ $t->store ]} doctor --offline --nginx=/no'
        2>&1`), qr/^warn     limits: the control group of this shell has 100 MB/m,
        'a limit of memory');
}

###############################################################################
# the key file

like(said($checks, 'key-file'), qr/^warn: the store may have secrets in plain/,
    'plain secrets');
my $format = $t->read_file('store/format');
my $keys = $t->secret_file(qx(openssl rand -base64 32), 'keys');
$t->write_file('store/format', $format =~ s/^secrets plain\n//mr);
like(said(doctor(), 'key-file'), qr/^skipped: name it/, 'no key file');
$checks = doctor("--key-file=$keys", $bad);
is($rc, 1, 'a secret that may not be plain fails');
like(said($checks, 'secret'), qr/^fail:\ nothing\ is\ sent:\ .*\ ->\ eventsyncctl
    \ endpoint\ rotate\ $bad$/x, 'and is named');
$t->write_file('store/format', $format);
$t->ctl_ok('store', 'rekey', "--key-file=$keys");
$checks = doctor("--key-file=$keys");
is(said($checks, 'key-file'), "ok: \"$keys\" has the key of the secrets",
    'the right key file');
is(said($checks, 'secret'), '', 'and all secrets');
$t->run_dispatcher("--key-file=$keys");
ok(wait_for(sub { said(doctor(), 'key-file')
    eq "ok: \"$keys\" has the key of the secrets" }), 'or that of the dispatcher');
$t->stop_dispatcher;
my $other = $t->secret_file(qx(openssl rand -base64 32), 'other');
like(said(doctor("--key-file=$other"), 'key-file'), qr/^fail:\ "$other"\ is\ not
    \ the\ right\ key\ file:\ .*\ ->\ put\ the\ key/x, 'a wrong one');
chmod 0644, $keys;
like(said(doctor("--key-file=$keys"), 'key-file'), qr/^fail:\ .*\ ->\ chgrp
    \ eventsync-keys\ $keys;\ chmod\ 640\ $keys$/x, 'one that all can read');
like(said(doctor("--key-file=$keys.no"), 'key-file'), qr/^fail:\ .*\ ->\ restore
    \ $keys\.no\ from\ its\ copy$/x, 'one that is not there');

done_testing();
