#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# "store rights": each process can write what docs/operations.md says, and
# nothing else of the store.  Users with these groups try every file and
# directory, then the programs run as them.

use warnings;
use strict;

use Fcntl qw(:DEFAULT);
use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Users;

my $t = users_or_skip();
my $dir = $t->testdir;
my %gid = (all => $Test::Eventsync::Users::GROUP, publish => 61210,
    manage => 61211, ack => 61212, pages => 61213, delivery => 61214);
my %role = (
    poller => [],
    publisher => ['publish'],
    manager => ['manage', 'delivery'],
    acker => ['ack'],
    pager => ['pages'],
    observer => ['delivery'],
    dispatcher => ['publish'],
    operator => ['publish', 'manage', 'ack', 'delivery'],
);
my $next = 61220;
$Test::Eventsync::Users::ID{$_} //= $next++ for sort keys %role;
$Test::Eventsync::Users::GROUPS{$_} = [@gid{'all', @{ $role{$_} }}]
    for keys %role;
my @roles = sort keys %role;
my $dispatcher = $Test::Eventsync::Users::ID{dispatcher};

my @rights = ('store', 'rights', "--group=$gid{all}",
    "--dispatcher=$dispatcher",
    map { "--$_=$gid{$_}" } grep { $_ ne 'all' } sort keys %gid);

sub runs {
    my ($who, $name, @args) = @_;
    my ($rc, $out, $err) = ctl_as($t, $who, {}, @args);
    is($rc, 0, $name) or diag($out, $err);
    return $out;
}

###############################################################################
# the recipe gives what the table says

$t->{store} = "$dir/store-rights";
runs('root', 'a store', 'init');
runs('root', 'its rights', @rights);

# Rows of the table: path, owner, group, mode, modes of files.
open my $page, '<', 'docs/operations.md' or die;
my %table = map { my @cell = split /\s*\|\s*/; ($cell[1] =~ s{`|/}{}gr => \@cell) }
    grep { /^\| `[a-z.]+\/?` \| (?:root|dispatcher) \|/ } <$page>;
is_deeply([sort keys %table],
    [sort qw(. log ids registry checkpoints pages encrypted delivery)],
    'the page has a table');

# Compares every file of the store with it.  Who makes a file owns it, until the
# rights are set.
sub as_documented {
    my ($name, $used) = @_;
    my @wrong;
    for my $path (split /\0/, `cd @{[ $t->store ]} && find . -print0`) {
        $path =~ s{^\./}{};
        my ($part) = $path =~ m{^([a-z]+)(?:/|$)};
        $part = '.' if !defined $part || !$table{$part};
        my (undef, undef, $owner, $group, $mode, $files) = @{ $table{$part} };
        my @st = lstat $t->store . "/$path";
        if (!-d _) {
            my ($base) = $path =~ m{([^/]+)$};
            $mode = $files =~ /`\Q$base\E` (\d+)/ ? $1
                : $files =~ /(?:^|, )(\d+)/ ? $1 : 'none';
        }
        my $is = sprintf '%d %d %04o', @st[4, 5], $st[2] & 07777;
        $group = $group eq '`eventsync`' ? 'all'
            : $group =~ s/`eventsync-(\w+)`/$1/r;
        my $should = sprintf '%d %d %04d', $owner eq 'root' ? 0 : $dispatcher,
            $gid{$group}, $mode;
        s/^\d+// for grep { $used } $is, $should;
        push @wrong, "$path: $is, not $should" if $is ne $should;
    }
    is_deeply(\@wrong, [], "$name: all is as documented");
}
as_documented('a new store');

###############################################################################
# the programs as users

chmod 0640, $t->write_file('keys', 'k' x 32);
chown 0, $gid{manage}, "$dir/keys";
chmod 0640, $t->write_file('dispatcher-keys', 'k' x 32);
chown $dispatcher, $dispatcher, "$dir/dispatcher-keys";

runs('operator', 'an operator makes a feed', 'feed', 'create', 'orders');
runs('operator', 'and a partner', 'partner', 'create', 'acme', '--feeds=orders',
    '--publish=orders', '--allow-http=yes', '--allow-addresses=127.0.0.0/8');
my ($key) = runs('operator', 'and a key', 'key', 'create', 'acme',
    '--scopes=read,publish,ack,manage') =~ /(esk_\w+)/;
my %auth = (authorization => "Bearer $key");
my $recv = $t->receiver(200);

# What a worker with these directives answers.
my %ask = (
    poll => sub { $t->http(GET => '/v1/feeds/orders/events', \%auth) },
    publish => sub { $t->http(POST => '/v1/feeds/orders/events', { %auth,
        'content-type' => 'application/cloudevents+json' }, event()) },
    endpoints => sub { $t->http(POST => '/v1/endpoints', { %auth,
        'content-type' => 'application/json' },
        encode_json({ url => $recv->url('/'), feeds => ['orders'] })) },
    checkpoints => sub {
        my ($cursor) = runs('poller', 'a reader tails', 'tail', 'orders')
            =~ /"cursor":"([^"]+)"/;
        return $t->http(PUT => '/v1/feeds/orders/checkpoints/c', { %auth,
            'content-type' => 'application/json' },
            encode_json({ cursor => $cursor }));
    },
    health => sub { $t->http(GET => '/v1/readyz') },
);
my %good = (poll => 200, publish => 201, endpoints => 201, checkpoints => 201,
    health => 503);                         # no dispatcher runs

sub worker {
    my ($who, @resources) = @_;
    nginx_as($t, $who, join '', 'location /v1/ { eventsync_poll on;',
        (map { $_ eq 'poll' ? () : " eventsync_$_ on;" } @resources), ' } ',
        $who eq 'manager' ? "eventsync_key_file $dir/keys;" : '');
    my %got = map { $_ => $ask{$_}->()->{status} } @resources;
    my $log = $t->read_file('error.log');
    $t->stop_nginx;
    return (\%got, $log);
}

sub serves {
    my ($who, @resources) = @_;
    my ($got, $log) = worker($who, @resources);
    is_deeply($got, { map { $_ => $good{$_} } @resources },
        "$who: a worker serves @resources") or diag($log);
}

sub refused {
    my ($who, $resource, $path) = @_;
    my ($got, $log) = worker($who, $resource);
    is($got->{$resource}, 503, "$who: a worker cannot serve $resource");
    like($log, qr{cannot open "[^"]*/\Q$path\E": Permission denied},
        '... and its log says why');
}

$t->allow_errors(qr/Permission denied/);
serves('publisher', qw(poll publish));
serves('poller', 'poll');
serves('manager', qw(poll endpoints));
serves('acker', qw(poll checkpoints));
serves('observer', qw(poll health));
refused('poller', 'publish', 'log/data.mdb');
refused('poller', 'endpoints', 'registry/data.mdb');
refused('poller', 'checkpoints', 'checkpoints/data.mdb');
refused('poller', 'health', 'delivery/data.mdb');
refused('publisher', 'endpoints', 'registry/data.mdb');
refused('publisher', 'checkpoints', 'checkpoints/data.mdb');
refused('manager', 'publish', 'log/data.mdb');
refused('observer', 'endpoints', 'registry/data.mdb');

# Pages are stored by whoever can, and encoded for each request by others.
{
    my ($rc, undef, $err) = ctl_as($t, 'operator',
        { stdin => join '', map { event() . "\n" } 1 .. 100 }, 'publish',
        'orders');
    is($rc, 0, 'a full page of events') or diag($err);
}
serve_pages();
sub serve_pages {
    for my $who (qw(poller pager)) {
        nginx_as($t, $who, 'location /v1/ { eventsync_pages on; }');
        my ($epoch) = runs('poller', 'a reader tails', 'tail', 'orders')
            =~ /"cursor":"([a-z0-9]+)-/;
        is($t->http(GET => "/v1/feeds/orders/pages/$epoch/1",
            { %auth, 'accept-encoding' => 'gzip' })->{status}, 200,
            "$who: a worker serves pages");
        $t->stop_nginx;
    }
}
ok(-e $t->store . '/pages/data.mdb', 'the pager stored them');

# Ciphertexts are kept by everybody who reads, and are the same for all.
chmod 0644, $t->write_file('key.jwk', encode_json({ kty => 'EC', kid => 'k1',
    crv => 'P-256', x => 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y => '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM' }));
keep_ciphertexts();
sub keep_ciphertexts {
    my %got;
    system 'cp', $t->build . '/helper/encrypt', "$dir/bin/encrypt";
    for my $who (qw(poller operator dispatcher poller)) {
        my $proc = $t->start("encrypt-$who", { stdin => '"a@b"' }, as($who,
            "$dir/bin/encrypt", "$dir/key.jwk", 'orders', '/s', 'e1', '/data/m',
            $t->store, 'k3f2-1'));
        is($proc->wait(30), 0, "$who keeps a ciphertext") or diag($proc->stderr);
        $got{$proc->stdout}++;
    }
    is_deeply([values %got], [4], 'all have the same');
}

dispatcher_as($t, 'dispatcher', '--key-file', "$dir/dispatcher-keys");
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /info: eventsync-dispatcher/ }),
    'the dispatcher starts') or diag($t->{dispatcher}->stderr);
is(publish_as($t, 'operator', 'orders'), '', 'the operator publishes');
ok($recv->wait_for(1), 'the dispatcher sends')
    or diag($t->{dispatcher}->stderr);
$t->stop_dispatcher;
runs('operator', 'the operator verifies', 'verify');
as_documented('after use', 1);

###############################################################################
# each user tries each file and directory

# Prints "op path" for what succeeded, and leaves everything as it was.
my $probe = $t->write_file('probe.pl', <<'PERL');
use Fcntl;
chdir shift or exit;
for my $path (@ARGV) {
    if (-d $path) {
        print "make $path\n" if sysopen my $fh, "$path/probe", O_RDWR | O_CREAT
            and unlink "$path/probe";
        for my $name ('data.mdb', 'lock.mdb', 'format', 'log', 'control') {
            # it is there, and may be put elsewhere
            rename "$path/$name", "$path/$name.x" or next;
            rename "$path/$name.x", "$path/$name";
            print "replace $path\n";
            last;
        }
    } else {
        print "read $path\n" if sysopen my $fh, $path, O_RDONLY;
        print "write $path\n" if sysopen $fh, $path, O_RDWR;
        print "cut $path\n" if truncate $path, -s $path;
        # not as its owner, who is the maker of some files
        print "chmod $path\n" if (stat $path)[4] != $>
            && chmod((stat _)[2] & 07777, $path);
    }
}
PERL
my @paths = map { s{^\./}{}r } split /\0/,
    `cd @{[ $t->store ]} && find . -print0`;
my %by;
for my $who (@roles, 'stranger') {
    my $proc = $t->start('probe', {}, as($who, $^X, $probe, $t->store, @paths));
    $proc->wait(60);
    push @{ $by{$_} }, $who for split /\n/, $proc->stdout;
}
my @publishers = qw(dispatcher operator publisher);
my @writers = (
    # path, who writes, who reads, who makes files there
    ['.', undef, undef, []],
    ['format', [], \@roles],
    ['bell', \@roles, \@roles],
    ['used', \@roles, \@roles],
    ['log', undef, undef, \@publishers],
    ['log/data.mdb', \@publishers, \@roles],
    ['log/lock.mdb', \@roles, \@roles],
    ['ids', undef, undef, \@publishers],
    ['ids/control', \@publishers, \@publishers],
    ['ids/0', \@publishers, \@publishers],
    ['ids/1', \@publishers, \@publishers],
    ['registry', undef, undef, [qw(manager operator)]],
    ['registry/data.mdb', [qw(manager operator)], \@roles],
    ['registry/lock.mdb', \@roles, \@roles],
    ['checkpoints', undef, undef, [qw(acker operator)]],
    ['checkpoints/data.mdb', [qw(acker operator)], \@roles],
    ['checkpoints/lock.mdb', \@roles, \@roles],
    ['pages', undef, undef, ['pager']],
    ['pages/data.mdb', ['pager'], ['pager']],
    ['pages/lock.mdb', ['pager'], ['pager']],
    ['encrypted', undef, undef, \@roles],
    ['encrypted/data.mdb', \@roles, \@roles],
    ['encrypted/lock.mdb', \@roles, \@roles],
    ['delivery', undef, undef, ['dispatcher']],
    ['delivery/data.mdb', ['dispatcher'],
        [qw(dispatcher manager observer operator)]],
    ['delivery/lock.mdb', [qw(dispatcher manager observer operator)],
        [qw(dispatcher manager observer operator)]],
    ['delivery/owner', ['dispatcher'],
        [qw(dispatcher manager observer operator)]],
);
for (@writers) {
    my ($path, $write, $read, $make) = @$_;
    my $who = sub { $by{"$_[0] $path"} // [] };
    if ($make) {
        is_deeply($who->('make'), $make, "$path/: who makes files");
        is_deeply($who->('replace'), $make, '... and replaces them');
    } else {
        is_deeply($who->('read'), $read, "$path: who reads");
        is_deeply($who->('write'), $write, '... who writes');
        is_deeply($who->('cut'), $write, '... who cuts it short');
        is_deeply($who->('chmod'), [], '... who changes its mode');
    }
}
my %tried = map { $_->[0] => 1 } @writers;
is_deeply([grep { !$tried{$_} } @paths], [], 'no file is left out');

###############################################################################
# files that come later

unlink map { $t->store . "/$_" } qw(log/lock.mdb registry/lock.mdb
    checkpoints/lock.mdb delivery/lock.mdb delivery/owner bell used ids/0 ids/1
    ids/control pages/data.mdb pages/lock.mdb encrypted/data.mdb encrypted/lock.mdb);
rmdir $t->store . "/$_" for qw(ids pages encrypted);
my ($rc, undef, $err) = ctl_as($t, 'poller', {}, 'feed', 'list');
is($rc, 1, 'a reader cannot make a lock file');
like($err, qr{cannot open "\S+/log/lock.mdb": Permission denied}, '... and why');
runs('operator', 'an operator makes it', 'feed', 'list');
runs('root', 'root makes all of them', @rights);
as_documented('after a loss');
is(publish_as($t, 'publisher', 'orders'), '', 'a publisher fills the ids');
serve_pages();
keep_ciphertexts();
dispatcher_as($t, 'dispatcher', '--key-file', "$dir/dispatcher-keys");
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /info: eventsync-dispatcher/ }),
    'the dispatcher makes its lock');
ok($recv->wait_for(2), '... and sends');
$t->stop_dispatcher;
unlink $t->store . '/delivery/lock.mdb';
dispatcher_as($t, 'dispatcher', '--key-file', "$dir/dispatcher-keys");
ok(wait_for(sub { $t->{dispatcher}->stderr =~ /info: eventsync-dispatcher/ }),
    'the dispatcher makes its lock file');
$t->stop_dispatcher;
as_documented('after they were made anew', 1);

# A backup that root restores gets its rights by the same command.
runs('root', 'a backup', 'backup', "$dir/copy");
is((stat "$dir/copy")[2] & 07777, 0700, 'which is private');
($rc) = ctl_as($t, 'root', {}, 'restore', "$dir/copy", "$dir/restored");
is($rc, 0, 'is restored');
$t->{store} = "$dir/restored";
runs('root', 'and given its rights', @rights);
as_documented('restored');
is(publish_as($t, 'publisher', 'orders'), '', 'a publisher publishes to it');
as_documented('and used', 1);

###############################################################################
# what the command refuses

my $victim = $t->write_file('victim', 'x');
chmod 0600, $victim;
for (['a symbolic link', sub { symlink $victim, $_[0] }],
    ['another name of a file', sub { link $victim, $_[0] }],
    ['a directory', sub { mkdir $_[0] }])
{
    my ($what, $make) = @$_;
    my $path = $t->store . '/log/trap';
    $make->($path) or die "$path: $!\n";
    ($rc, undef, $err) = ctl_as($t, 'root', {}, @rights);
    is($rc, 1, "$what in a directory of the store");
    like($err, qr/\Aeventsyncctl: [^\n]*"log\/trap"[^\n]*\n\z/, '... is named');
    is(sprintf('%o %d', (stat $victim)[2] & 07777, (stat _)[5]), '600 0',
        '... and not followed');
    unlink $path or rmdir $path;
}
rename $t->store . '/ids', $t->store . '/kept';
symlink $dir, $t->store . '/ids';
($rc, undef, $err) = ctl_as($t, 'root', {}, @rights);
is($rc, 1, 'a link in the place of a directory');
like($err, qr/cannot open "\.\/ids": /, '... is named');
unlink $t->store . '/ids';
rename $t->store . '/kept', $t->store . '/ids';

($rc, undef, $err) = ctl_as($t, 'operator', {}, @rights);
is($rc, 1, 'an operator who is not root cannot give files away');
like($err, qr/\Aeventsyncctl: cannot change "[^"]+": Operation not permitted\n\z/,
    '... and why');
($rc, undef, $err) = ctl_as($t, 'root', {}, 'store', 'rights', '--group=61200',
    '--dispatcher=61202', '--publish=no-such-group');
is($rc, 1, 'an unknown group');
is($err, 'eventsyncctl: there is no group "no-such-group": create it, or name '
    . "another with --publish\n", '... is named');
($rc, undef, $err) = ctl_as($t, 'root', {}, 'store', 'rights',
    '--group=61200', '--dispatcher=61202');
is($err, 'eventsyncctl: there is no group "61200-publish": create it, or name '
    . "another with --publish\n", 'groups are named after the group of all');
($rc, undef, $err) = ctl_as($t, 'root', {}, 'store', 'rights', '--group=0',
    '--dispatcher=no-such-user');
like($err, qr/there is no (?:user|group)/, 'an unknown user');
is((ctl_as($t, 'root', {}, 'store', 'rights', '--group=61200'))[0], 2,
    'both options are required');
runs('root', 'the command can be run again', @rights);
as_documented('at the end');

done_testing();
