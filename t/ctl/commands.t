#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl: every command, and that its mistakes are one clear line.

use warnings;
use strict;

use JSON::PP;
use POSIX ();
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;

# Runs a command that must fail: its exit status and its only line.
sub fails {
    my ($status, $line, $name, @args) = @_;
    my ($rc, $out, $err) = $t->ctl(@args);
    is($rc, $status, "$name: exit $status");
    like($err, qr/\Aeventsyncctl: $line[^\n]*\n\z/, "$name: one line says why");
}

sub ctl_json { decode_json($t->ctl_ok(@_)) }

###############################################################################
# calling it

like($t->ctl_ok('--version'), qr/^eventsyncctl \d/, 'version');
like($t->ctl_ok('--help'), qr/publish, tail, export, import, mirror\n.*listen, verify/s, 'help');
like($t->ctl_ok('feed', 'create', '--help'), qr/--retain-age/,
    'help of a command');
fails(2, 'no command', 'nothing to do');
fails(2, 'unknown command "fed create"', 'a misspelt command', 'fed', 'create');
fails(2, 'unknown option "--nam"', 'a misspelt option', 'feed', 'create',
    'x', '--nam=x');
fails(2, '"--types" of "tail" is given twice: give it once, as A,B',
    'a list in two options', 'tail', 'x', '--types=a', '--types', 'b');
fails(2, '"--follow" of "tail" is given twice: give it once',
    'an option without a value, twice', 'tail', 'x', '--follow', '--follow');
fails(2, 'too few arguments', 'no name', 'feed', 'create');
fails(2, 'unexpected argument "y"', 'one name too many', 'feed', 'create',
    'x', 'y');
fails(1, '".*" is not an eventsync store', 'no store', 'feed', 'list');

###############################################################################
# feeds

$t->store_init;
fails(1, '".*" already is an eventsync store', 'a store twice', 'init');
is(($t->ctl('feed', 'create', 'orders', '--retain-count=5'))[0], 0, 'a feed');
fails(1, 'feed "orders" exists already', 'a feed twice', 'feed', 'create',
    'orders');
fails(2, '"Orders" is not a feed\'s name', 'a bad name', 'feed', 'create',
    'Orders');
fails(2, '"--retain-count=x" is not a number', 'a bad count', 'feed',
    'create', 'x', '--retain-count=x');
fails(2, '"--retain-age=1y" is not a duration', 'a bad age', 'feed', 'create',
    'x', '--retain-age=1y');
fails(2, "\"--fresh-within=$_\" is not a duration of at most 1 day", "a bad promise: $_",
    'feed', 'create', 'x', "--fresh-within=$_") for qw(soon 25h -1s);
fails(2, '"--fresh-within=soon" is not a duration', 'nor a bad change', 'feed', 'change',
    'orders', '--fresh-within=soon', '--retain-count=7');
fails(2, "\"--pack=$_\" is not on, off or a level from 1 to 19", "a bad level: $_",
    'feed', 'create', 'x', "--pack=$_") for qw(0 20 1x yes 100 -1 01);
fails(2, '"--pack=max" is not', 'nor a bad change', 'feed', 'change', 'orders',
    '--pack=max', '--retain-count=7');
my $feed = ctl_json('feed', 'show', 'orders');
is($feed->{pack_level}, 1, 'the history of a new feed is packed');
is($feed->{fresh_within_ms}, 0, 'a feed promises nothing');
is($feed->{retain_count}, 5, 'its retention is as asked');
is($feed->{page_size}, 100, 'a page has 100 events');
like($feed->{latest}, qr/^[a-z2-7]{8}-0$/, 'it is empty');
$t->ctl_ok('feed', 'change', 'orders', '--retain-count=0',
    '--retain-age=1h30m');
$feed = ctl_json('feed', 'show', 'orders');
is("$feed->{retain_count} $feed->{retain_ms}", '0 5400000', 'it is changed');
is($feed->{pack_level}, 1, 'but for how it is packed');
for (['7', 7], ['off', 0], ['on', 1], ['19', 19], ['1', 1]) {
    my ($pack, $level) = @$_;
    $t->ctl_ok('feed', 'change', 'orders', "--pack=$pack");
    $feed = ctl_json('feed', 'show', 'orders');
    is($feed->{pack_level}, $level, "--pack=$pack");
}
is("$feed->{retain_count} $feed->{retain_ms}", '0 5400000', 'the limits stay');
$t->ctl_ok(qw(feed create plain --pack=off));
is(ctl_json(qw(feed show plain))->{pack_level}, 0, 'a feed that is not packed');
$t->ctl_ok(qw(feed change plain --retain-count=5));
is(ctl_json(qw(feed show plain))->{pack_level}, 0, 'stays so');
$t->ctl_ok(qw(feed remove plain));
$t->ctl_ok('feed', 'change', 'orders', '--fresh-within=1500ms', '--schema=warn');
$t->ctl_ok('feed', 'change', 'orders', '--schema=off');
is(ctl_json('feed', 'show', 'orders')->{fresh_within_ms}, 1500,
    'a promise is kept through other changes');
$t->ctl_ok('feed', 'change', 'orders', '--fresh-within=0');
is(ctl_json('feed', 'show', 'orders')->{fresh_within_ms}, 0, 'and taken back');
is(($t->ctl('feed', 'create', 'x', '--fresh-within=soon'))[0], 2, 'a bad promise');
fails(1, 'no feed "x"', 'makes no feed', 'feed', 'show', 'x');
fails(1, 'no feed "none"', 'showing no feed', 'feed', 'show', 'none');

###############################################################################
# publish and tail

sub events { join '', map { $t->event(id => "$_", type => "t." . $_ % 2) . "\n" } @_ }

like($t->ctl_ok({ stdin => events(1 .. 10) }, 'publish', 'orders',
    '--results'), qr/\A[a-z2-7]+-1 1\n.*-10 10\n\z/s, 'publish');
like($t->ctl_ok({ stdin => events(10) }, 'publish', 'orders', '--results'),
    qr/\A[a-z2-7]+-10 10 duplicate\n\z/, 'a repeat is said to be one');
fails(1, 'line 2: /id: ', 'a bad event',
    { stdin => events(11) . qq({"specversion":"1.0","source":"/s",)
    . qq("type":"t"}\n) }, 'publish', 'orders');
fails(1, 'line 1: .*', 'no JSON', { stdin => "nonsense\n" }, 'publish',
    'orders');
fails(1, 'feed "orders": event 1: .*other content', 'a conflict',
    { stdin => $t->event(id => "1", type => 'other') . "\n" }, 'publish',
    'orders');
fails(1, 'feed "none": event 1: no such feed', 'publishing to no feed',
    { stdin => events(1) }, 'publish', 'none');
fails(2, '"--format=xml" is not', 'a bad format', 'publish', 'orders',
    '--format=xml');
is(($t->ctl({ stdin => '[' . join(',', map { $t->event(id => "$_") } 11, 12)
    . ']' }, 'publish', 'orders', '--format=batch'))[0], 0, 'a batch');
is(($t->ctl({ stdin => $t->event(id => "13") }, 'publish', 'orders',
    '--format=json'))[0], 0, 'one event');

# A copy of a feed: what the log added is left out, and nothing else changes.
{
    my $odd = '{"specversion":"1.0","id":"odd","source":"/s","type":"t",'
        . '"note":"a \\",\\"feed\\":\\"x\\" b","data":{"n": 1.0e1,'
        . '"feed":"y","prevcursor":"z"}}' . "\n";
    $t->feed($_) for qw(from to);
    $t->ctl_ok({ stdin => events(1 .. 3) . $odd }, 'publish', 'from');
    my $from = $t->ctl_ok('tail', 'from');
    $t->ctl_ok({ stdin => $from }, 'publish', 'to', '--format=tail');
    my $plain = sub { join '', map { s/,"feed":"(?:from|to)",.*?"prevcursor":".*?"//r }
        split /^/, shift };
    is($plain->($t->ctl_ok('tail', 'to')), $plain->($from),
        'the lines of tail are published as they are, without the log\'s members');

    # Without the option they are replaced, and counted.
    $t->feed('copy');
    my ($rc, $out, $err) = $t->ctl({ stdin => $from . events(8) }, 'publish', 'copy');
    is($rc, 0, 'what tail prints is published');
    is($plain->($t->ctl_ok('tail', 'copy') =~ s/"feed":"copy"/"feed":"to"/gr
        =~ s/.*\n\z//r), $plain->($from), 'as it is');
    is($err, 'eventsyncctl: feed "copy": the log has replaced its own attributes '
        . "(feed, sequence, sequencetype, cursor, prevcursor) in 4 of 5 events\n",
        'and told how often');
    is(($t->ctl({ stdin => events(8) }, 'publish', 'copy'))[2], '',
        'nothing is told where there are none');
    $t->ctl_ok('feed', 'remove', 'copy');

    fails(1, 'line 2: not a line of "tail"', 'another line',
        { stdin => $from =~ s/\n.*//sr . "\n" . events(9) }, 'publish', 'to',
        '--format=tail');
    is((() = $t->ctl_ok('tail', 'to') =~ /^/mg), 4, 'nothing was added');
    $t->ctl_ok('feed', 'remove', $_) for qw(from to);
}

# A producer that writes now and then: nothing waits for a full commit.
{
    pipe my $out, my $in;
    my $pid = fork() // die;
    if ($pid == 0) {
        close $in;
        open STDIN, '<&', $out;
        exec $t->build . '/eventsyncctl', '--store', $t->store, 'publish',
            'orders' or POSIX::_exit(1);
    }
    close $out;
    syswrite $in, $t->event(id => 'slow') . "\n";
    ok(wait_for(sub { $t->ctl_ok('tail', 'orders') =~ /"id":"slow"/ }, 10),
        'an event is published as it comes');
    syswrite $in, $t->event(id => 'last');
    close $in;
    waitpid $pid, 0;
    is($?, 0, 'and the last without its line end');
}

my @all = grep { $_->{id} =~ /\d/ } map { decode_json($_) } split /\n/, $t->ctl_ok('tail', 'orders');
is_deeply([map { $_->{id} } @all], [1 .. 13], 'tail shows all in order');
my @odd = map { decode_json($_) } split /\n/,
    $t->ctl_ok('tail', 'orders', '--types=t.1', "--after=$all[2]{cursor}");
is_deeply([map { $_->{id} } @odd], [5, 7, 9], 'of one type, after a cursor');
is($odd[0]{prevcursor}, $all[2]{cursor}, 'chained to the cursor asked with');
is($odd[1]{prevcursor}, $odd[0]{cursor}, 'and to each other');
is(scalar(split /\n/, $t->ctl_ok('tail', 'orders', '--limit=4')), 4,
    'so many and no more');
is($t->ctl_ok('tail', 'orders', '--from=latest'), '', 'nothing after latest');
fails(2, '"--after=x" is not a cursor', 'a bad cursor', 'tail', 'orders',
    '--after=x');
fails(1, 'cursor "abcdefgh-1": ', 'a cursor of another epoch', 'tail',
    'orders', '--after=abcdefgh-1');
fails(2, '"--from=noon" is not', 'a bad time', 'tail', 'orders',
    '--from=noon');

# From the last cursor, so that it does not matter who is first.
my $tail = $t->ctl_start('tail', 'orders', "--after=$all[-1]{cursor}",
    '--follow');
$t->ctl_ok({ stdin => events(14) }, 'publish', 'orders');
ok(wait_for(sub { $tail->stdout =~ /"id":"14"/ }, 10), 'tail follows');
$tail->stop('TERM');

###############################################################################
# trim, reset, remove

$t->ctl_ok('feed', 'trim', 'orders', "--before=$all[4]{cursor}");
my ($first) = split /\n/, $t->ctl_ok('tail', 'orders');
is(decode_json($first)->{id}, 5, 'trimmed');
fails(1, 'cursor ".*": ', 'an expired cursor', 'tail', 'orders',
    "--after=$all[0]{cursor}");
fails(1, 'cursor "abcdefgh-1" is not of the feed', 'trimming another epoch',
    'feed', 'trim', 'orders', '--before=abcdefgh-1');
chomp(my $epoch = $t->ctl_ok('feed', 'reset', 'orders'));
is(ctl_json('feed', 'show', 'orders')->{latest}, "$epoch-0",
    'a reset begins a new epoch');
$t->ctl_ok('feed', 'remove', 'orders');
is($t->ctl_ok('feed', 'list'), '', 'removed');

###############################################################################
# partners, keys, endpoints

$t->feed('orders');
$t->ctl_ok('partner', 'create', 'acme', '--feeds=orders,p-*',
    '--limit-poll=60r/m,burst=10');
my $partner = ctl_json('partner', 'show', 'acme');
is_deeply($partner->{feeds}, ['orders', 'p-*'], 'a partner');
is_deeply($partner->{limits}, { poll => { rate => '60r/m', burst => 10 } },
    'with limits');
fails(1, 'partner "acme": ', 'a partner twice', 'partner', 'create', 'acme');
fails(1, 'partner "b": /limits/poll/rate: ', 'a bad rate', 'partner', 'create',
    'b', '--limit-poll=fast');
$t->ctl_ok('partner', 'change', 'acme', '--limit-publish=5r/s');
is_deeply(ctl_json('partner', 'show', 'acme')->{limits}, { publish => {
    rate => '5r/s' }, poll => { rate => '60r/m', burst => 10 } },
    'a change of one limit leaves the others');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=default');
is_deeply(ctl_json('partner', 'show', 'acme')->{limits}, { publish => {
    rate => '5r/s' } }, 'and one can be given back');
$t->ctl_ok('partner', 'change', 'acme', '--limit-publish=default',
    '--limit-backfill=100m/h,burst=10m', '--limit-waits=5');
is_deeply(ctl_json('partner', 'show', 'acme')->{limits}, { backfill => {
    rate => '100m/h', burst => 10 * 1024 * 1024 }, waits => { max => 5 } },
    'limits of bytes and of what is under way');
fails(2, '"burst=x" is not a number', 'a bad burst', 'partner', 'change',
    'acme', '--limit-poll=1r/s,burst=x');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=1r/s');
$t->ctl_ok('partner', 'change', 'acme', '--limit-poll=');
unlike($t->ctl_ok('partner', 'show', 'acme'), qr/"poll"/, 'an empty limit is none');
fails(1, 'key file "/nonexistent" cannot be opened',
    'options before the command', '--key-file=/nonexistent', 'endpoint',
    'list');
fails(1, 'key file "/nonexistent" cannot be opened', 'with a blank',
    '--key-file', '/nonexistent', 'endpoint', 'list');
fails(2, '"--limit-waits=0" is not', 'no waits', 'partner', 'change', 'acme',
    '--limit-waits=0');
fails(2, '"--disabled" and "--enabled" exclude', 'both', 'partner', 'change',
    'acme', '--disabled', '--enabled');
fails(2, '"--feeds" is not UTF-8', 'not UTF-8', 'partner', 'change', 'acme',
    "--feeds=\xff");
$t->ctl_ok('partner', 'change', 'acme', '--disabled');
ok(ctl_json('partner', 'show', 'acme')->{disabled}, 'disabled');
$t->ctl_ok('partner', 'change', 'acme', '--enabled');
ok(!ctl_json('partner', 'show', 'acme')->{disabled}, 'and enabled');

chomp(my $key = $t->ctl_ok('key', 'create', 'acme', '--scopes=read'));
like($key, qr/^esk_[a-z2-7]{10}_[a-z2-7]{38}$/, 'a key is printed once');
my ($id) = $key =~ /^esk_(.{10})/;
unlike($t->ctl_ok('key', 'list', '--json'), qr/\Q$key\E/, 'and never again');
fails(2, '"--scopes" is needed', 'no scopes', 'key', 'create', 'acme');
fails(2, '"--feeds" names no feed', 'a key that would be for all feeds', 'key',
    'create', 'acme', '--scopes=read', '--feeds=');
fails(1, 'new key: /scopes', 'a bad scope', 'key', 'create', 'acme',
    '--scopes=write');
fails(1, 'new key: /partner', 'a key for nobody', 'key', 'create', 'nobody',
    '--scopes=read');
fails(1, 'key "esk_\w+": "esk_\w+" is not a key\'s id, the ten characters after '
    . '"esk_"', 'a key in the place of its id', 'key', 'revoke', $key);
$t->ctl_ok('key', 'revoke', $id);
like($t->ctl_ok('key', 'list', '--json'), qr/"revoked":"20/, 'revoked');

my ($name, $secret) = $t->endpoint('acme', url => 'https://x.example/h',
    feeds => 'orders', types => 'a,b.*', schedule => '0,5s', in_flight => 3,
    disable_after => '2d', rate => '10r/s', burst => 20);
like("$name $secret", qr{^ep_[a-z2-7]{16} whsec_[A-Za-z0-9+/]{43}=$},
    'an endpoint and its secret');
my $endpoint = ctl_json('endpoint', 'show', $name);
is_deeply([@$endpoint{qw(types schedule in_flight)}], [['a', 'b.*'],
    ['0', '5s'], 3], 'as asked');
is_deeply([@$endpoint{qw(disable_after rate burst)}], ['2d', '10r/s', 20],
    'with its policy');
fails(1, 'endpoint ".*": /rate: rate must be a rate', 'a bad rate', 'endpoint', 'change',
    $name, '--rate=fast');
fails(1, 'endpoint ".*": /disable_after', 'a bad time', 'endpoint', 'change', $name,
    '--disable-after=10ms');
fails(2, '"--burst=0" is not', 'a bad burst', 'endpoint', 'change', $name,
    '--burst=0');
$t->ctl_ok('endpoint', 'pause', $name);
ok(ctl_json('endpoint', 'show', $name)->{paused}, 'paused');
$t->ctl_ok('endpoint', 'resume', $name);
ok(!ctl_json('endpoint', 'show', $name)->{paused}, 'resumed');
$t->ctl_ok('endpoint', 'change', $name, '--ordering=none');
is(ctl_json('endpoint', 'show', $name)->{ordering}, 'none', 'changed');
is($t->ctl_ok('endpoint', 'status', $name), "$name state=active\n",
    'its status has a state and no more yet');
is($t->ctl_ok('endpoint', $_, $name), '', "no $_ yet") for qw(attempts dead);
fails(1, 'new endpoint: /url', 'a bad URL', 'endpoint', 'create', 'acme',
    '--url=ftp://x', '--feeds=orders');
fails(1, 'no endpoint "none"', 'no such endpoint', 'endpoint', 'status',
    'none');
fails(1, 'partner "acme": ', 'a partner in use stays', 'partner', 'remove',
    'acme');
$t->ctl_ok('endpoint', 'remove', $name);
$t->ctl_ok('key', 'remove', $id);
$t->ctl_ok('partner', 'remove', 'acme');
is($t->ctl_ok($_, 'list'), '', "no $_ is left") for qw(partner key endpoint);

fails(2, '"--port" and "--secret" are needed', 'listening nowhere', 'listen');
fails(2, '"--secret" is not', 'a bad secret', 'listen', '--port=1',
    '--secret=x');

done_testing();
