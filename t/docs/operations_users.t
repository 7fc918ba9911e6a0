#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/install.md and docs/operations.md to the letter, by the users that they
# make: www-data (nginx's workers), eventsync (the dispatcher), root and an
# operator.
# The blocks of commands are run as they stand, in a mount and a network
# namespace of this test's own, so that /etc, /var/lib and the like are copies
# and port 80 is free.

use warnings;
use strict;

use Cwd qw(getcwd);
use File::Path qw(make_path);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Places;

own_places(qw(adduser runuser openssl curl ip));

my $t = Test::Eventsync->new;
my $dir = $t->testdir;
my (%text, %used);

sub slurp { my ($name) = @_; open my $fh, '<:raw', $name or die "$name: $!\n";
    local $/; return <$fh> }
sub mode { sprintf '%04o', (stat $_[0])[2] & 07777 }

# The n-th block of commands under a heading of a page.
sub block {
    my ($page, $heading, $n) = @_;
    $text{$page} //= slurp($page);
    my ($section) = $text{$page} =~ /^#+ \Q$heading\E\n(.*?)(?=^#|\z)/ms
        or die "$page has no $heading\n";
    # Comments in commands look like headings.
    ($section) = $text{$page} =~ /^#+ \Q$heading\E\n(.*?)(?=^##|\z)/ms;
    my @blocks = $section =~ /^```sh\n(.*?)^```\n/msg;
    $used{ $blocks[$n // 0] // '' } = 1;
    return $blocks[$n // 0] // die "$heading of $page has no block $n\n";
}

# Runs it as root, in the directory of this test.
sub runs {
    my ($name, $commands) = @_;
    my $proc = $t->start('sh', {}, 'sh', '-ec', "cd $dir\n$commands");
    my $rc = $proc->wait(60) // $proc->stop('KILL');
    is($rc, 0, $name) or diag($commands, $proc->stdout, $proc->stderr);
    return $proc->stdout;
}

sub by { my ($user, @args) = @_; return "runuser -u $user -- @args" }
sub dispatcher_runs {
    my ($line) = @_;
    my $proc = $t->start('dispatcher', {}, split / /, $line);
    ok(wait_for(sub { $proc->stderr =~ /info: eventsync-dispatcher/ }),
        'the dispatcher runs as its user') or diag($proc->stderr);
    my ($uid) = slurp('/proc/' . $proc->pid . '/status') =~ /^Uid:\s+(\d+)/m;
    my ($child) = Test::Eventsync::children($proc->pid);
    ($uid) = slurp("/proc/$child/status") =~ /^Uid:\s+(\d+)/m if $child;
    is($uid, getpwnam('eventsync'), 'which is eventsync');
    return $proc;
}
sub dispatcher_ends {
    my ($proc, $name) = @_;
    my ($child) = Test::Eventsync::children($proc->pid);
    kill TERM => $child // $proc->pid;
    is($proc->wait(20), 0, $name);
    my $said = $proc->stderr
        =~ s/^.*(?:was reset: \d+ events|is blocked by event).*\n//mgr;
    unlike($said, qr/ (?:warn|error): /, 'and it had nothing to complain of');
}

###############################################################################
# the place

place($t, 'etc', '/etc', copy => 1);
place($t, @$_) for [qw(lib /var/lib)], [qw(log /var/log)], [qw(run /run)],
    [qw(backups /var/backups)], [qw(modules /usr/lib/nginx/modules)];
mkdir $_ for "$dir/bin", "$dir/build", '/var/lib/nginx', '/var/log/nginx';
for my $file (qw(eventsyncctl eventsync-dispatcher)) {
    system('install', '-m', '755', $t->build . "/$file", "$dir/bin") == 0 or die;
}
system('cp', $t->build . '/ngx_http_eventsync_module.so', "$dir/build") == 0
    or die;
system('install', "$dir/build/ngx_http_eventsync_module.so",
    '/usr/lib/nginx/modules/') == 0 or die;
$ENV{PATH} = "$dir/bin:/usr/sbin:/usr/bin:/sbin:/bin";

# What the service manager does.
$t->write_file('bin/service', <<'SH');
#!/bin/sh
set -e
[ "$*" = "nginx restart" ]
if [ -s /run/nginx.pid ]; then
    nginx -s quit
    while [ -e /run/nginx.pid ]; do sleep 0.1; done
fi
/usr/sbin/nginx
SH
chmod 0755, "$dir/bin/service";
$t->at_end(sub { kill TERM => slurp('/run/nginx.pid')
    if -s '/run/nginx.pid' });

my $conf = slurp('docs/install.md') =~ /^```nginx\n(.*?)^```/ms ? $1 : die;
sub configure {
    open my $fh, '>', '/etc/nginx/conf.d/eventsync.conf' or die;
    print $fh $conf;
    close $fh;
}
configure();
unlink glob '/etc/nginx/modules-enabled/*';
runs('nginx loads the module', (grep { /load_module/ } split /^/,
    block('docs/install.md', 'Files'))[0]);

###############################################################################
# users and permissions

my $users = 'Users and permissions';
runs('docs/install.md makes groups and users',
    block('docs/install.md', 'Users'));
is(block('docs/operations.md', $users), block('docs/install.md', 'Users'),
    'docs/operations.md says the same');

my $heading = 'The key of the secrets';
my $made = block('docs/install.md', 'The store');
is(join('', (split /^/, $made)[0 .. 2]), block('docs/operations.md', $heading, 0),
    'docs/operations.md makes the key file as docs/install.md does');
is(join('', (split /^/, $made)[3, 4]), block('docs/operations.md', $users, 1),
    'and the store');
runs('docs/install.md makes both', $made);
is(mode('/etc/eventsync/secret-keys'), '0640', 'with a key file for the group');
like(slurp('/var/lib/eventsync/format'), qr/\A(?!.*plain)/s,
    'the store allows no plain secrets');
my ($key) = runs('docs/install.md makes a partner',
    block('docs/install.md', 'The first partner')) =~ /(esk_\S+)/;
runs('docs/install.md makes an endpoint', 'export EVENTSYNC_STORE='
    . '/var/lib/eventsync EVENTSYNC_KEY_FILE=/etc/eventsync/secret-keys; '
    . (slurp('docs/install.md') =~ /^ {4}(eventsyncctl endpoint create .*)/m
        ? $1 : die));
runs('docs/install.md starts nginx', block('docs/install.md', 'nginx'));
my $line = block('docs/install.md', 'The dispatcher', 1);
is($line, block('docs/operations.md', $users, 2),
    'docs/operations.md starts the dispatcher as docs/install.md does');
my $dispatcher = dispatcher_runs($line =~ s/\n//r);
ok(wait_for(sub { Test::Eventsync::port_open(8080) }), 'nginx listens');
my ($worker) = Test::Eventsync::children(slurp('/run/nginx.pid') + 0);
my ($uid) = slurp("/proc/$worker/status") =~ /^Uid:\s+(\d+)/m;
is($uid, getpwnam('www-data'), 'its worker is www-data');

$t->{ports}[0] = 8080;
$t->{store} = '/var/lib/eventsync';
my $n = 0;
sub published {
    my ($name) = @_;
    is($t->publish('orders', { key => $key }, { id => 'e' . ++$n })->{status},
        201, "$name: www-data publishes")
        or diag(slurp('/var/log/nginx/error.log'));
    is($t->poll('orders', key => $key, from => 'oldest')->{events}[-1]{id},
        "e$n", 'and polls');
    my $event = $t->event(id => 'o' . $n);
    runs('the operator publishes', "echo '$event' | " . by('operator',
        'eventsyncctl --store /var/lib/eventsync publish orders'));
}
sub sound {
    my ($name, @opts) = @_;
    like(runs("$name: the operator verifies", by('operator',
        'eventsyncctl --store /var/lib/eventsync', @opts, 'verify')),
        qr/, 0 faults$/, 'and finds no fault');
    # t/store/rights.t compares every file with the table.
    my %group = (log => 'publish', ids => 'publish', registry => 'manage',
        checkpoints => 'ack', delivery => 'delivery');
    my @wrong = grep {
        my $in = m{/var/lib/eventsync/(\w+)/} ? "eventsync-$group{$1}"
            : 'eventsync';
        (stat)[5] != getgrnam $in
    } split /\n/, `find /var/lib/eventsync/*/ -type f`;
    is_deeply(\@wrong, [], 'every file is its group\'s');
}

runs('an operator who is not root', 'adduser --system --ingroup eventsync '
    . "--no-create-home operator 2>/dev/null\n" . join "\n",
    map { "adduser operator eventsync-$_" } qw(publish manage ack delivery keys));
published('with the first store');
sound('with the first store');
runs('nobody else can read it', '! ' . by('nobody', 'ls /var/lib/eventsync')
    . ' 2>/dev/null');

runs('a store whose files were copied',
    'chgrp -R root /var/lib/eventsync; chmod -R g-s /var/lib/eventsync');
runs('is given its rights again', (split /^/,
    block('docs/operations.md', $users, 1))[1]);
sound('mended');

###############################################################################
# the key of the secrets

is(runs('all secrets are encrypted',
    block('docs/operations.md', $heading, 1)), "0 secrets encrypted\n",
    'which they were');
my @before = split /^/, slurp('/etc/eventsync/secret-keys');
runs('the key is changed', block('docs/operations.md', $heading, 2));
my @after = split /^/, slurp('/etc/eventsync/secret-keys');
is(scalar @after, 1, 'one key is left');
isnt($after[0], $before[0], 'a new one');
is(mode('/etc/eventsync/secret-keys'), '0640', 'with the same mode');
is((stat '/etc/eventsync/secret-keys')[5], scalar getgrnam('eventsync-keys'),
    'and group');
published('with encrypted secrets');
sound('with encrypted secrets', '--key-file /etc/eventsync/secret-keys');

###############################################################################
# a recipe after docs/install.md

my ($socket) = slurp('docs/recipes.md') =~ /`(install -d -g\s[^`]+)`/ or die;
runs('docs/recipes.md makes a directory', $socket =~ s/\n\s*/ /r);
is(mode('/run/eventsync'), '2750', 'for a group');
runs('and gives groups', block('docs/recipes.md', 'Recipes', 0));
runs('and enables the internal server', 'ip address add 10.1.0.5/24 dev lo; cd '
    . getcwd() . "\n" . block('docs/recipes.md', 'Recipes', 1) =~ s/tls/internal/gr);
runs('which answers', "curl -sSf -o metrics http://10.1.0.5:8080/metrics\n"
    . 'curl -sSf --unix-socket /run/eventsync/publish.sock '
    . 'http://localhost/health/healthz');
unlink '/etc/nginx/sites-enabled/eventsync-internal';
configure();
runs('nginx is without it', 'service nginx restart');

###############################################################################
# the dashboard

my $plain = $conf;
my ($lines) = slurp('docs/dashboard.md')
    =~ m{^```nginx\nlocation /v1/ \{\n(.*?)^\}}ms or die;
$conf =~ s/^\s*eventsync_poll .*\n/$lines/m or die;
configure();
runs('nginx gets the dashboard', 'service nginx restart');
is($t->http(GET => '/v1/dashboard')->{status}, 503,
    'nginx has not the groups that it needs');
runs('docs/dashboard.md gives them', block('docs/dashboard.md', 'Dashboard'));
is($t->http(GET => '/v1/dashboard')->{status}, 200, 'nginx has them');
$conf = $plain;
configure();
runs('nginx is without the dashboard', 'nginx -s reload');

###############################################################################
# a legal hold

runs('a hold begins and ends', block('docs/operations.md', 'Legal holds'));

###############################################################################
# the keys of access tokens, and a proof of the store

runs('a key of access tokens is made',
    block('docs/operations.md', 'Keys of access tokens'));
is(mode('/etc/nginx/token-keys.json'), '0600', 'which root alone can read');
$conf =~ s/^(\s*eventsync_store .*)$/$1\n    eventsync_token_keys \/etc\/nginx\/token-keys.json;/m;
$conf =~ s/^(\s*)(eventsync_publish .*)$/$1$2\n$1eventsync_token on;/m;
configure();
my %old = map { $_ => 1 } Test::Eventsync::children(slurp('/run/nginx.pid') + 0);
runs('nginx is reloaded', 'nginx -s reload');
ok(wait_for(sub { !grep { $old{$_} }
    Test::Eventsync::children(slurp('/run/nginx.pid') + 0) }, 20),
    'old workers end');
my ($id) = $key =~ /^esk_([^_]+)/;
my $answer = $t->http(POST => '/v1/token',
    { 'content-type' => 'application/x-www-form-urlencoded' },
    "grant_type=client_credentials&client_id=$id&client_secret=$key");
is($answer->{status}, 200, 'and gives tokens') or diag($answer->{body});
my $token = Test::Eventsync::json($answer->{body})->{access_token};
is($t->http(GET => '/v1/feeds', { authorization => "Bearer $token" })->{status},
    200, 'that are taken');
like(runs('the store is proved', block('docs/operations.md', 'After a crash')),
    qr/, 0 faults$/, 'and has no fault');

###############################################################################
# backup, and restore to another directory

my $out = runs('a backup', block('docs/operations.md', 'Backup'));
like($out, qr/^secrets are encrypted: keep the key file with [a-z2-7]{8} /m,
    'names the key that it needs');
my ($backup) = block('docs/operations.md', 'Backup') =~ m{ (/var/backups/\S+)};
is_deeply([grep { mode($_) ne (-d $_ ? '0700' : '0600') }
    split /\n/, `find $backup`], [], 'only its maker can read it');
like(runs('a slow backup', block('docs/operations.md', 'Backup', 1)),
    qr/^backup of 1 feed/m, 'is made as well');
my $events = $t->poll('orders', key => $key, from => 'oldest');
published('after the backup');

$heading = 'Restore';
$out = runs('a restore', block('docs/operations.md', $heading, 0));
like($out, qr/^each feed begins a new epoch/m,
    'reckons with what partners have seen');
my $tail = runs('it has what the store had', by('operator',
    'eventsyncctl --store /var/lib/eventsync-restored tail orders'));
is(() = $tail =~ /\n/g, scalar @{ $events->{events} },
    'at the time of the backup, and the operator can read it');

dispatcher_ends($dispatcher, 'the dispatcher ends');
runs('nginx ends', "nginx -s quit\n"
    . 'while [ -e /run/nginx.pid ]; do sleep 0.1; done');
runs('the restored store takes the place',
    block('docs/operations.md', $heading, 1));
like(runs('it is compacted', block('docs/operations.md', 'Compact')),
    qr/^the store in "[^"]*" takes \d+ bytes, \d+ fewer than /m, 'on the way');
runs('nginx starts', 'service nginx restart');
ok(wait_for(sub { Test::Eventsync::port_open(8080) }), 'nginx listens');
$dispatcher = dispatcher_runs($line =~ s/\n//r);
is($t->http(GET => "/v1/feeds/orders/events?after=$events->{next}",
    { authorization => "Bearer $key" })->{status}, 200,
    'a cursor of an event that the backup has is good');
(my $beyond = $events->{next}) =~ s/(\d+)$/$1 + 1/e;
is($t->http(GET => "/v1/feeds/orders/events?after=$beyond",
    { authorization => "Bearer $key" })->{status}, 410,
    'a later one is told that another epoch began before it');
published('with the restored store');
sound('with the restored store', '--key-file /etc/eventsync/secret-keys');

###############################################################################
# upgrade of the module

my $first = slurp('/run/nginx.pid') + 0;
runs('the module is upgraded', block('docs/operations.md', 'Source'));
ok(wait_for(sub { !-e '/run/nginx.pid.oldbin' }, 20), 'the old master ends');
isnt(slurp('/run/nginx.pid') + 0, $first, 'another one runs');
unlike(runs('which has the new file',
    block('docs/operations.md', 'Which module runs')), qr/\(deleted\)/,
    'and not the one that is gone');
published('with the new module');
sound('with the new module', '--key-file /etc/eventsync/secret-keys');
dispatcher_ends($dispatcher, 'the dispatcher ends');

# The old build is this one here; store/format.t has a store of an old format.
# The new one is there without a package, which t/package.pl has.
make_path("$dir/new/usr/bin");
symlink $t->build . '/eventsyncctl', "$dir/new/usr/bin/eventsyncctl";
runs('the events are copied to a store of the new format',
    block('docs/operations.md', 'A new store format') =~ s/^dpkg-deb .*\n//r);
my %copy = map { $_ => scalar(() = `eventsyncctl --store=$_ tail orders`
    =~ /"id"/g) } '/var/lib/eventsync', '/var/lib/eventsync.new';
ok($copy{'/var/lib/eventsync.new'} > 0, 'there are events');
is($copy{'/var/lib/eventsync.new'}, $copy{'/var/lib/eventsync'}, 'all of them');

# Sections of which another test runs the commands, or none can.
my @sections = grep { !/\A[^\n]*(?:Building|[Cc]ontainer|Packages|Restart of the|What to watch)/ }
    split /^#+ (?=[A-Z])/m, slurp('docs/operations.md');
is_deeply([grep { !$used{$_} } map { /^```sh\n(.*?)^```\n/msg } @sections], [],
    'every block of commands of docs/operations.md was run');

done_testing();
