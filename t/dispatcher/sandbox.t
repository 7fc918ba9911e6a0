#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The sandbox of the dispatcher: what every thread of it is refused, what goes on
# working in it, and kernels that lack a part of it.  The other tests of the
# dispatcher run in the sandbox as well.

use warnings;
use strict;

use Errno qw(EACCES ENOSYS EPERM);
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(sanitized => 1);
plan(skip_all => 'the sanitizers do what the sandbox refuses')
    if $t->sanitized;

my $dir = $t->testdir;
my $abi = syscall(444, 0, 0, 1);    # landlock_create_ruleset, VERSION
my ($filters) = status($$, 'Seccomp');
plan(skip_all => 'the kernel has no Landlock and no seccomp')
    if $abi < 1 && !defined $filters;
diag("Landlock $abi") if $abi < 6;

my $acts = $t->build . '/acts.so';
my $name = "eventsync-sandbox-$$";
my $abstract = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "\0$name")
    or die "abstract socket: $!\n";

mkdir "$dir/$_" for qw(keys tls);
$t->write_file($_, 'x') for qw(outside tls/ca.pem keys/secret-keys);
system("openssl rand -base64 32 > $dir/keys/secret-keys") == 0 or die;
chmod 0600, "$dir/keys/secret-keys";
my $recv = $t->receiver(sub { return 204 });
$t->endpoint('acme', url => $recv->url, feeds => 'orders', start => 'latest');
my $sent = 0;

sub status {
    my ($pid, $member, $tid) = @_;
    my $file = "/proc/$pid/" . (defined $tid ? "task/$tid/" : '') . 'status';
    return $t->read_file($file) =~ /^\Q$member\E:\s*(.*)$/m;
}
sub threads { return map { m{(\d+)$} } glob "/proc/$_[0]/task/*" }

# Starts it as it is by default, although the harness gives a preloaded library
# other parts.
sub runs {
    my ($env, @opts) = @_;
    my $proc = $t->run_dispatcher({ env => { %$env } },
        '--sandbox=landlock,seccomp', "--tls-dir=$dir/tls", @opts);
    ok(wait_for(sub { $proc->stderr =~ /eventsync-dispatcher \S+ on / }, 30),
        'it starts') or diag($proc->stderr);
    return $proc;
}
sub delivers {
    my ($name) = @_;
    my $came = $recv->count;
    put($t, 'orders', 1);
    ok($recv->wait_for($came + 1, 30), $name);
}
sub warnings_of { return $_[0]->stderr =~ / warn: (.*)/g }

# Files that the acts take away, and none that they make.
sub tidy {
    $t->write_file($_, '') for 'store/delivery/spare', 'spare';
    mkdir "$dir/store/spare";
    unlink "$dir/acts", glob("$dir/made $dir/tls/made $dir/spare? $dir/linked"),
        glob "$dir/store/made $dir/store/log/made";
    rmdir "$dir/store/ids/dir";
}

# What each thread of a dispatcher with these options was told: thread => act =>
# errno.
sub acts {
    my (@opts) = @_;

    tidy();
    my $proc = runs({ LD_PRELOAD => $acts, ES_ACTS => "$dir/acts",
        ES_ACTS_DIR => $dir, ES_ACTS_SOCKET => $name },
        "--key-file=$dir/keys/secret-keys", @opts);
    delivers('and delivers');
    my @threads = threads($proc->pid);
    my (%status, %said);
    for my $tid (@threads) {
        $status{$_}{ (status($proc->pid, $_, $tid))[0] // '' }++
            for qw(Seccomp NoNewPrivs);
    }
    kill USR2 => $proc->pid;
    ok(wait_for(sub { (() = $t->read_file('acts') =~ / end 0$/mg) >= @threads },
        30), 'every thread tries') or diag($t->read_file('acts'));
    /^(\d+) (\S+) (\d+)$/ and $said{$1}{$2} = $3
        for split /\n/, $t->read_file('acts');
    ok($proc->running, 'and the process lives on');
    delivers('and delivers');
    my @warned = grep { !/plain text/ } warnings_of($proc);
    is_deeply(\@warned, [], 'there is no warning');
    is($t->stop_dispatcher, 0, 'it ends');
    return (\%status, \%said, $proc->pid);
}

###############################################################################
# what is refused

my @files = qw(read-outside write-outside truncate-outside make-outside
    list-outside write-key write-tls make-tls write-registry write-checkpoints
    write-format make-in-store make-in-log make-tmp mkdir unlink rmdir rename
    link);
my @calls = qw(execve execveat fork ptrace process_vm_readv kill tgkill
    pidfd_open dumpable setresuid setgroups capset mount move_mount fsopen
    chroot unshare setns init_module finit_module delete_module kexec_load
    reboot bpf perf_event_open userfaultfd keyctl add_key request_key syslog
    clock_settime fanotify_init io_uring_setup personality O_TMPFILE openat2
    memfd_create name_to_handle_at truncate fchmodat fchownat symlinkat mknodat
    utimensat setxattr fchmod-setuid mprotect-exec mmap-write-exec shmget
    socket-packet socket-alg socket-key socket-60 listen accept4
    ioctl-TIOCSTI);

my %refused = map { $_ => EPERM } @calls;
$refused{clone3} = ENOSYS;
$refused{$_} = EACCES for $abi >= 1 ? @files : ();
$refused{bind} = EACCES if $abi >= 4;
$refused{abstract} = EPERM if $abi >= 6;

$t->ctl_ok('store', 'rekey', "--key-file=$dir/keys/secret-keys");
my ($status, $said, $pid) = acts();
is_deeply($status->{Seccomp}, { 2 => scalar keys %$said },
    'each thread has a filter');
is_deeply($status->{NoNewPrivs}, { 1 => scalar keys %$said },
    'and can gain no privilege');
cmp_ok(scalar keys %$said, '>=', 5, 'there are several threads');

my $first = $said->{$pid};
for my $act (sort keys %refused) {
    is($first->{$act}, $refused{$act}, "$act is refused");
}
my @may = grep { /^may-/ } sort keys %$first;
cmp_ok(scalar @may, '>=', 14, 'what it needs is tried as well');
is_deeply([ grep { $first->{$_} } @may ], [], 'and allowed');
is_deeply($said->{$_}, $first, 'another thread is told the same')
    for grep { $_ != $pid } sort keys %$said;

###############################################################################
# without it the same acts have other results

(my $without, my $free, $pid) = acts('--sandbox=off');
is_deeply([ keys %{ $without->{Seccomp} } ], [$filters],
    '--sandbox=off: no filter of its own');
is_deeply([ keys %{ $without->{NoNewPrivs} } ], [1],
    'still it can gain no privilege');
my $plain = $free->{$pid};
for my $act (sort keys %refused) {
    my $here = $plain->{$act} // 'untried';
    # A container may refuse it to every process.
    $here == $refused{$act} && $here == EPERM
        ? note("$act is refused here to everybody")
        : isnt($here, $refused{$act}, "$act is not refused");
}
is_deeply([ grep { $plain->{$_} } @files ],
    [], 'it can write where its user can');

# One part without the other.

(undef, $said, $pid) = acts('--sandbox=landlock');
my $some = $said->{$pid};
is($some->{'write-outside'}, $refused{'write-outside'} // 0,
    '--sandbox=landlock: files are restricted');
isnt($some->{clone3}, ENOSYS, 'system calls are not');
(undef, $said, $pid) = acts('--sandbox=seccomp');
$some = $said->{$pid};
is($some->{'write-outside'}, 0, '--sandbox=seccomp: files are not restricted');
is($some->{clone3}, ENOSYS, 'system calls are');

for my $parts ('', 'on', 'landlock,', 'none') {
    my $proc = $t->start('wrong', {}, $t->build . '/eventsync-dispatcher',
        '--store', $t->store, "--sandbox=$parts");
    is($proc->wait(20), 2, "--sandbox=$parts is an error");
    is($proc->stderr, 'eventsync-dispatcher: --sandbox must be '
        . "\"landlock,seccomp\", one of them, or off, not \"$parts\"\n",
        'which says so');
}

###############################################################################
# kernels that lack it

my $old = $t->build . '/landlock.so';
my $no_files = 'Landlock cannot restrict files (Function not implemented)';
my $no_calls = 'seccomp cannot filter system calls (Invalid argument)';
for my $case ([0, 1, $no_files], [$abi, 0, $no_calls],
    [0, 0, "$no_files, and $no_calls"])
{
    my ($landlock, $seccomp, $warns) = @$case;
    my $proc = runs({ LD_PRELOAD => $old, ES_LANDLOCK => $landlock,
        ES_SECCOMP => $seccomp }, "--key-file=$dir/keys/secret-keys");
    delivers("Landlock $landlock, seccomp $seccomp: it delivers");
    is_deeply([warnings_of($proc)], ["the sandbox is incomplete: $warns"],
        'with one warning');
    is($t->stop_dispatcher, 0, 'it ends');
}

for my $version (1 .. ($abi < 6 ? $abi : 6)) {
    tidy();
    my $proc = runs({ LD_PRELOAD => "$old $acts", ES_LANDLOCK => $version,
        ES_ACTS => "$dir/acts$version", ES_ACTS_DIR => $dir,
        ES_ACTS_SOCKET => $name }, "--key-file=$dir/keys/secret-keys");
    delivers("ABI $version of Landlock: it delivers");
    kill USR2 => $proc->pid;
    my $main = $proc->pid;
    ok(wait_for(sub { $t->read_file("acts$version") =~ /^$main end 0$/m }, 30),
        'it tries');
    my %act = $t->read_file("acts$version") =~ /^$main (\S+) (\d+)$/mg;
    is_deeply([ grep { $act{$_} != EACCES } @files ], [],
        'files are restricted');
    is($act{bind}, $version >= 4 ? EACCES : 0, 'and ports, from 4 on');
    is($act{abstract}, $version >= 6 ? EPERM : 0, 'and sockets, from 6 on');
    is_deeply([warnings_of($proc)], [], 'there is no warning');
    is($t->stop_dispatcher, 0, 'it ends');
}

###############################################################################
# files that are replaced while it runs, and a store behind links

certificate($t, 'IP:127.0.0.1', file => $_) for qw(one two);
mkdir "$dir/$_" for qw(rel rel/1 rel/1/tls rel/2 rel/2/tls);
symlink 'rel/1', "$dir/current";
rename "$dir/one.pem", "$dir/rel/1/tls/ca.pem";
rename "$dir/two.pem", "$dir/two-ca.pem";
system('cp', "$dir/rel/1/tls/ca.pem", "$dir/one.pem");
system('cp', "$dir/two-ca.pem", "$dir/two.pem");
symlink 'store', "$dir/link";

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    log_format path '$uri';
    access_log %%TESTDIR%%/paths.log path;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%TESTDIR%%/one.pem;
        ssl_certificate_key %%TESTDIR%%/one.key;
        location / { return 204; }
    }
    server {
        listen 127.0.0.1:%%PORT_1%% ssl;
        ssl_certificate %%TESTDIR%%/two.pem;
        ssl_certificate_key %%TESTDIR%%/two.key;
        location / { return 204; }
    }
}
CONF
$t->run_nginx;
sub arrives {
    my ($path, $name) = @_;
    put($t, 'orders', 1);
    ok($t->logged('paths.log', qr{^/$path$}m, 30), $name)
        or diag($t->{dispatcher}->stderr);
    $t->write_file('paths.log', '');
}
my @key_file = ("--key-file=$dir/keys/secret-keys");
sub change {
    my ($name, $url) = @_;
    $t->ctl_ok('endpoint', 'change', $name, "--url=$url", @key_file);
}
my @https = map { 'https://127.0.0.1:' . $t->port($_) } 0, 1;
my $secure = $t->endpoint('acme', feeds => 'orders', start => 'latest',
    schedule => '0,1s,1s,1s', ca_file => 'ca.pem', url => "$https[0]/first",
    key_file => "$dir/keys/secret-keys");
{
    local $t->{store} = "$dir/link";
    $t->run_dispatcher('--sandbox=landlock,seccomp',
        "--tls-dir=$dir/current/tls", "--key-file=$dir/keys/secret-keys");
}
arrives('first', 'a trusted certificate behind a link, in a linked store');

rename "$dir/two-ca.pem", "$dir/rel/1/tls/ca.pem";
change($secure, "$https[1]/second");
arrives('second', 'its file is replaced');

system('cp', "$dir/one.pem", "$dir/rel/2/tls/ca.pem");
symlink 'rel/2', "$dir/current.new";
rename "$dir/current.new", "$dir/current";
change($secure, "$https[0]/third");
arrives('third', 'the link leads to another directory');

$t->write_file('keys/new', $t->read_file('keys/secret-keys'));
system("openssl rand -base64 32 >> $dir/keys/new") == 0 or die;
chmod 0600, "$dir/keys/new";
system("tac $dir/keys/new > $dir/keys/new2; chmod 600 $dir/keys/new2; "
    . "mv $dir/keys/new2 $dir/keys/secret-keys") == 0 or die;
$t->ctl_ok('store', 'rekey', "--key-file=$dir/keys/secret-keys");
$t->ctl_ok('endpoint', 'rotate', $secure, "--key-file=$dir/keys/secret-keys");
change($secure, "$https[0]/fourth");
arrives('fourth', 'the key file is replaced');
is_deeply([ grep { !/changed|epoch/ } warnings_of($t->{dispatcher}) ], [],
    'there is no warning');
is($t->stop_dispatcher, 0, 'it ends');

done_testing();
