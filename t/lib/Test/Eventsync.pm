# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync;

# Harness for eventsync's tests, in the manner of nginx-tests: a temporary
# directory, free ports, nginx with the module, the dispatcher and webhook
# receivers.  At the end it checks that no log has an error.  Its HTTP methods
# are in Test::Eventsync::Http.
#
#     my $t = Test::Eventsync->new(workers => 2);
#
#     $t->store_init;
#     $t->feed('orders');
#     my $key = $t->partner_key('acme', feeds => 'orders');
#
#     $t->write_file_expand('nginx.conf', <<'CONF');
#     events { }
#     http { server { listen 127.0.0.1:%%PORT_0%%; ... %%STORE%% ... } }
#     CONF
#
#     $t->run_nginx;
#     is($t->http(GET => '/v1/feeds', { authorization => "Bearer $key" })
#         ->{status}, 200, 'feeds are listed');
#     done_testing();
#
# The harness adds directives that a configuration lacks to its first line
# (load_module, daemon, pid, error_log, user, worker_processes) and after
# "http {" (access log, temporary paths), so that line numbers in messages stay
# correct.
#
# Environment: BUILD (./build); TEST_NGINX_BINARY ($BUILD/nginx or the installed
# one); TEST_ES_KEEP=1 keeps the directory; TEST_ES_CATLOG=1 prints the logs at
# the end.

use warnings;
use strict;

use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX ();
use Scalar::Util qw(weaken);
use Test::More ();
use Time::HiRes qw(sleep time);

use Test::Eventsync::Http;
use Test::Eventsync::Process;
use Test::Eventsync::Receiver;

use parent 'Exporter';
our @EXPORT_OK = qw(wait_for);

our $ROOT = abs_path(dirname(__FILE__) . '/../../..');
our @LIVE;
our $FAILED = 0;
my %PORT_LOCKS;

# Lines in logs that fail a test.
our @BAD = (qr/\[(?:alert|emerg)\]/, qr/Sanitizer/, qr/runtime error:/,
    qr/exited on signal/, qr/Assertion .* failed/);

# nginx's own code passes null pointers with a length of zero to memcpy() and
# similar functions.  Reports name its files without a directory before src/.
our @KNOWN = (qr{^src/\S+: runtime error:});

$SIG{PIPE} = 'IGNORE';
$SIG{$_} //= sub { exit 130 } for qw(INT TERM HUP);

###############################################################################
# construction, files, ports

# Options: workers (1), keep, prefix ('/v1').
sub new {
    my ($class, %opts) = @_;

    my $self = bless {
        workers => 1,
        prefix  => '/v1',
        keep    => $ENV{TEST_ES_KEEP},
        %opts,
        owner   => $$,
        ports   => [],
        procs   => [],
        allowed => [],
        checked => {},
        nevent  => 0,
        at_end  => [],
    }, $class;

    $self->{testdir} = tempdir('eventsync-test-XXXXXXXX', TMPDIR => 1);

    # the default directory of the access log, except in Debian's nginx
    mkdir "$self->{testdir}/logs";
    chmod 0755, $self->{testdir};
    $self->{build} = abs_path($ENV{BUILD} || "$ROOT/build")
        or die "no build directory; run make first\n";

    push @LIVE, $self;
    weaken($LIVE[-1]);

    return $self;
}

sub testdir { $_[0]{testdir} }
sub store   { $_[0]{store} // "$_[0]{testdir}/store" }
sub build   { $_[0]{build} }

# True for a build with AddressSanitizer: no other library may be preloaded
# before it, and it keeps freed memory.
sub sanitized {
    my ($self) = @_;
    return `ldd $self->{build}/eventsyncctl` =~ /libasan/;
}

# The n-th free port; each n keeps its port.
sub port {
    my ($self, $n) = @_;
    return $self->{ports}[$n // 0] //= free_port();
}

# Takes a port below the ephemeral range.  A bound UDP socket of the same number
# reserves it against other tests until this process ends.
sub free_port {
    for (1 .. 1000) {
        my $port = 10000 + int(rand(20000));
        next if $PORT_LOCKS{$port};

        my $lock = IO::Socket::INET->new(Proto => 'udp',
            LocalAddr => '127.0.0.1', LocalPort => $port) or next;
        my $probe = IO::Socket::INET->new(Proto => 'tcp', Listen => 1,
            LocalAddr => '127.0.0.1', LocalPort => $port, ReuseAddr => 1)
            or next;
        close $probe;

        $PORT_LOCKS{$port} = $lock;
        return $port;
    }
    die "no free port\n";
}

sub expand {
    my ($self, $text) = @_;

    $text =~ s/%%TESTDIR%%/$self->testdir/ge;
    $text =~ s/%%STORE%%/$self->store/ge;
    $text =~ s/%%BUILD%%/$self->build/ge;
    $text =~ s/%%PORT_(\d+)%%/$self->port($1)/ge;
    return $text;
}

sub write_file {
    my ($self, $name, $text) = @_;

    open my $fh, '>:raw', "$self->{testdir}/$name"
        or die "cannot write $name: $!\n";
    print $fh $text;
    close $fh or die "cannot write $name: $!\n";
    return "$self->{testdir}/$name";
}

# The same in one step, for a file that a running program reads: libfaketime ends
# its process when the file of its time is empty.
sub replace_file {
    my ($self, $name, $text) = @_;
    rename $self->write_file("$name.new", $text), "$self->{testdir}/$name"
        or die "cannot replace $name: $!\n";
}

sub write_file_expand {
    my ($self, $name, $text) = @_;

    $text = $self->complete_conf($text) if $name =~ /nginx.*\.conf$/;
    return $self->write_file($name, $self->expand($text));
}

sub read_file {
    my ($self, $name) = @_;

    $name = "$self->{testdir}/$name" unless $name =~ m{^/};
    open my $fh, '<:raw', $name or return '';
    local $/;
    return <$fh> // '';
}

# Waits for the access log, which nginx writes after the client has the answer.
sub logged {
    my ($self, $name, $what, $timeout) = @_;
    return wait_for(sub { $self->read_file($name) =~ $what }, $timeout);
}

# The number of waiting long polls (or, by kind, streams) in /ops/metrics.
sub waiting {
    my ($self, $n, $kind) = @_;
    my $gauge = sprintf 'eventsync_http_waiting_requests{kind="%s"}',
        $kind // 'poll';
    my $is;
    return wait_for(sub {
        ($is) = $self->http(GET => '/ops/metrics')->{body}
            =~ /^\Q$gauge\E (\d+)/m;
        return $is == $n;
    }, 30) || Test::More::diag("$is wait, not $n");
}

# Adds the directives that a test's nginx.conf may leave out, without new lines.
sub complete_conf {
    my ($self, $conf, %opts) = @_;

    my $log = $opts{log} // 'error.log';
    my @main;
    my $has = sub { $conf =~ /^\s*$_[0]\s/m };

    push @main, "load_module $self->{build}/ngx_http_eventsync_module.so;"
        unless $conf =~ /^\s*load_module\s.*eventsync/m;
    push @main, 'daemon off;' unless $has->('daemon');
    push @main, 'user root;' if $> == 0 && !$has->('user');
    push @main, 'pid %%TESTDIR%%/nginx.pid;' unless $has->('pid');
    push @main, "worker_processes $self->{workers};"
        unless $has->('worker_processes');
    push @main, "error_log %%TESTDIR%%/$log info;"
        unless $conf =~ /^error_log\s/m;

    my @http = ('access_log off;',
        map { "${_}_temp_path %%TESTDIR%%/tmp_$_;" }
        qw(client_body proxy fastcgi uwsgi scgi));
    shift @http if $has->('access_log');
    $conf =~ s/^(\s*http\s*\{)/$1 @http/m;

    return "@main $conf";
}

# Writes a complete server with every location, for tests that do not test the
# configuration.  Options: main, http, server, location (extra lines each),
# listen (its parameters).
sub default_conf {
    my ($self, %opts) = @_;
    my %x = map { $_ => $opts{$_} // '' } qw(main http listen server location);
    $x{connections} = $opts{connections} // 1024;

    return $self->write_file_expand('nginx.conf', <<"CONF");

$x{main}
events {
    worker_connections $x{connections};
}

http {
    $x{http}
    eventsync_store %%STORE%%;

    server {
        listen 127.0.0.1:%%PORT_0%% $x{listen};
        $x{server}

        location /v1/ {
            eventsync_feeds on;
            eventsync_poll on;
            eventsync_publish on;
            $x{location}
        }

        location = /ops/metrics {
            eventsync_metrics on;
            eventsync_auth off;
        }
    }
}
CONF
}

# The same for clients that read slowly: small buffers, HTTP/2 at the second
# port, an access log of the events in each answer, and the resource also with
# gzip, with a short timeout, and as a part of /included.
sub slow_conf {
    my ($self, $resource, $sndbuf, %opts) = @_;

    return $self->default_conf(%opts, listen => "sndbuf=$sndbuf",
        http => <<'HTTP', server => <<"SERVER" . ($opts{server} // ''));
log_format first_last '$uri $eventsync_first-$eventsync_last $status';
    access_log %%TESTDIR%%/access.log first_last;
HTTP
listen 127.0.0.1:%%PORT_1%% http2 sndbuf=$sndbuf;
        client_max_body_size 16m;
        ssi_types *;

        location /gzip/ {
            $resource on;
            gzip on;
            gzip_types *;
        }

        location /impatient/ {
            $resource on;
            send_timeout 500ms;
        }

        location = /included {
            default_type text/plain;
            root %%TESTDIR%%;
            ssi on;
        }
SERVER
}

###############################################################################
# the store, by eventsyncctl

# Runs eventsyncctl; a leading { stdin => text } is its input.  Secrets among the
# options go through files, unless { plain => 1 } is given.
# Returns (exit, out, err); exit is 128 + n when a signal killed it.
sub ctl {
    my ($self, @args) = @_;

    my $proc = $self->ctl_start(@args);
    my $rc = $proc->wait(60);
    if (!defined $rc) {
        $proc->stop('KILL');
        die "eventsyncctl @args: did not end in 60 s\n";
    }
    $self->forget($proc);

    my @result = ($rc, $proc->stdout, $proc->stderr);
    unlink $proc->{out}, $proc->{err} unless $result[2] =~ /Sanitizer/;
    return @result;
}

# Runs a command that must succeed and returns its output.  Changes of endpoints
# have taken effect when it returns.
sub ctl_ok {
    my ($self, @args) = @_;

    my ($of, $command, $name) = grep { !ref } @args;
    my ($rc, $out, $err) = $of eq 'endpoint'
        && $command =~ /^(?:change|pause|resume|rotate|simulate)$/
        ? $self->in_effect($name, sub { $self->ctl(@args) })
        : $self->ctl(@args);
    return $out if $rc == 0;
    shift @args if ref $args[0];
    die "eventsyncctl @args: exit $rc\n$err$out\n";
}

# Starts a command in the background (listen, tail); returns the process.
sub ctl_start {
    my ($self, @args) = @_;

    my $opts = ref $args[0] ? shift @args : {};
    @args = map { $self->hidden($_) } @args if !$opts->{plain};
    return $self->start("ctl", $opts,
        "$self->{build}/eventsyncctl", '--store', $self->store, @args);
}

# An option of eventsyncctl whose value is a secret, with a file instead of it.
sub hidden {
    my ($self, $arg) = @_;

    return $arg
        if $arg !~ /^--(secret|headers|oauth|key)=(?!@|-\z|env:)(.+)\z/s;
    my ($option, $secret) = ($1, $2);
    return "--$option=@" . $self->secret_file($secret);
}

# Writes a file that only its owner can read; returns its path.
sub secret_file {
    my ($self, $text, $name) = @_;

    $name //= 'secret' . ++$self->{secret_files};
    my $path = $self->write_file($name, $text);
    chmod 0600, $path;
    return $path;
}

# Creates the store.  Its secrets may be in plain text, unless { sealed => 1 } is
# given.
our @PLAIN_SECRETS = ('--plain-secrets');

sub store_init {
    my ($self, %opts) = @_;
    $self->ctl_ok('init', $opts{sealed} ? () : @PLAIN_SECRETS);
    return $self;
}

# Options become --name=value: retain_count => 10 is --retain-count=10.
sub feed {
    my ($self, $name, %opts) = @_;
    $self->ctl_ok('feed', 'create', $name, flags(%opts));
    return $self;
}

# The receivers of tests need http:// and the loopback.  The dispatcher allows
# both, and so must the record of each partner or endpoint.
our @DISPATCHER_OPTS = ('--allow-http', '--allow-address=127.0.0.0/8');
our %EXCEPTIONS = (allow_http => 'yes', allow_addresses => '127.0.0.0/8');

# Creates a partner with these exceptions; other options become flags.
sub partner {
    my ($self, $partner, %opts) = @_;
    $self->{partners}{$partner}++;
    $self->ctl_ok('partner', 'create', $partner, flags(%EXCEPTIONS, %opts));
    return $self;
}

# Creates the partner unless it exists, and a key; returns the text of the key.
# Options: feeds, publish (lists or comma text) of the partner; scopes,
# key_feeds, expires of the key; others become flags of the partner.
sub partner_key {
    my ($self, $partner, %opts) = @_;

    my @key = flags(
        scopes => delete $opts{scopes} // 'read,publish,ack',
        (map { exists $opts{"key_$_"} ? ($_ => delete $opts{"key_$_"}) : () }
            qw(feeds expires)));
    $self->partner($partner, %opts) if !$self->{partners}{$partner};
    my $out = $self->ctl_ok('key', 'create', $partner, @key);
    $out =~ /(esk_[a-z2-7]+_[a-z2-7]+)/ or die "no key in: $out\n";
    return $1;
}

# Creates an endpoint; returns its name, or in list context (name, secret).
# Options: url, feeds, types, subject, ordering, schedule ... become flags.
sub endpoint {
    my ($self, $partner, %opts) = @_;

    my $out = $self->ctl_ok('endpoint', 'create', $partner, flags(%opts));
    my ($name) = $out =~ /(ep_[a-z2-7]{16})/ or die "no name in: $out\n";
    my ($secret) = $out =~ m{(wh(?:sec|sk)_[A-Za-z0-9+/=]+)};
    return wantarray ? ($name, $secret // $opts{secret}) : $name;
}

sub flags {
    my (%opts) = @_;
    my @flags;

    for my $name (sort keys %opts) {
        my $value = $opts{$name};
        next if !defined $value;
        (my $flag = $name) =~ tr/_/-/;
        $value = join ',', @$value if ref $value;
        push @flags, "--$flag=$value";
    }
    return @flags;
}

# Verifies the store: true if every invariant holds; notes the faults otherwise.
sub verify {
    my ($self) = @_;
    my ($rc, $out, $err) = $self->ctl('verify');
    Test::More::diag("verify: exit $rc\n$out$err") if $rc;
    return $rc == 0;
}

###############################################################################
# processes

# Starts a command; output goes to files in the test's directory.
sub start {
    my ($self, $name, $opts, @cmd) = @_;

    my $proc = Test::Eventsync::Process->start(
        name => $name, dir => $self->{testdir}, cmd => \@cmd,
        env => { $self->sanitizer_env($name), %{ $opts->{env} // {} } },
        stdin => $opts->{stdin});
    push @{ $self->{procs} }, $proc;
    return $proc;
}

# Runs a sub in a process of its own, with its output in a file.  The sub should
# return when $t->told_to_end is true.
sub background {
    my ($self, $name, $code) = @_;

    my $proc = Test::Eventsync::Process->start(name => $name,
        dir => $self->{testdir}, cmd => $code);
    push @{ $self->{procs} }, $proc;
    return $proc;
}

sub tell_to_end { $_[0]->write_file('end', '') }
sub told_to_end { -e "$_[0]{testdir}/end" }

sub forget {
    my ($self, $proc) = @_;
    @{ $self->{procs} } = grep { $_ != $proc } @{ $self->{procs} };
}

# The sanitizers report to files of their own, because stderr may be elsewhere.
# nginx frees memory only by exiting and repeats some globals in each module, so
# that its leaks and duplicate globals are not checked.  Other preloaded
# libraries come after the sanitizers.
sub sanitizer_env {
    my ($self, $name) = @_;
    my $nginx = $name =~ /^(?:nginx\d*|check)$/;
    return (
        ASAN_OPTIONS => join(':', "log_path=$self->{testdir}/sanitizer",
            'verify_asan_link_order=0',
            $nginx ? ('detect_leaks=0', 'detect_odr_violation=0') : (),
            $ENV{ASAN_OPTIONS} // ()),
        UBSAN_OPTIONS => 'print_stacktrace=1',
    );
}

sub nginx_binary {
    my ($self) = @_;
    return $ENV{TEST_NGINX_BINARY} if $ENV{TEST_NGINX_BINARY};
    return -x "$self->{build}/nginx" ? "$self->{build}/nginx"
        : '/usr/sbin/nginx';
}

# Starts nginx on nginx.conf and waits until its ports answer.
sub run_nginx {
    my ($self, %opts) = @_;

    die "nginx runs already\n" if $self->{nginx} && $self->{nginx}->running;
    my $proc = $self->{nginx} = $self->start('nginx', \%opts,
        $self->nginx_binary, '-p', "$self->{testdir}/", '-c',
        "$self->{testdir}/nginx.conf", '-e', "$self->{testdir}/startup.log");

    my @ports = $self->read_file('nginx.conf')
        =~ /listen\s+127\.0\.0\.1:(\d+)/g;
    wait_for(sub {
        die "nginx did not start:\n" . $proc->stderr
            . $self->read_file('startup.log') . $self->read_file('error.log')
            unless $proc->running;
        return !grep { !port_open($_) } @ports;
    }, 20) or die "nginx does not listen on @ports\n";

    return $self;
}

# Runs `nginx -t` on a configuration; returns (exit, output).
sub check_conf {
    my ($self, $conf) = @_;

    $self->write_file('check.conf',
        $self->expand($self->complete_conf($conf, log => 'check.log')));
    unlink "$self->{testdir}/check.log";
    my $proc = $self->start('check', {}, $self->nginx_binary, '-t', '-p',
        "$self->{testdir}/", '-c', "$self->{testdir}/check.conf", '-e',
        'stderr');
    my $rc = $proc->wait(20) // $proc->stop('KILL');
    $self->forget($proc);
    return ($rc, $proc->stdout . $proc->stderr . $self->read_file('check.log'));
}

sub nginx_pid { $_[0]{nginx}->pid }

# The pids of workers that are not shutting down.
sub workers {
    my ($self) = @_;
    my $master = $self->nginx_pid;

    return grep { (cmdline($_) // '') =~ /worker process$/ } children($master);
}

# The pids of all children of the master, including old workers.
sub children {
    my ($parent) = @_;
    my @pids;

    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $fh, '<', $stat or next;
        my $line = <$fh> // '';
        push @pids, $1 if $line =~ /^(\d+) \(.*\) \S (\d+) / && $2 == $parent;
    }
    @pids = sort { $a <=> $b } @pids;
    return @pids;
}

sub cmdline {
    my ($pid) = @_;
    open my $fh, '<', "/proc/$pid/cmdline" or return;
    local $/;
    my $line = <$fh> // '';
    $line =~ tr/\0/ /;
    $line =~ s/ +$//;
    return $line;
}

# Sends HUP and waits until a new generation of workers serves.
sub reload {
    my ($self, $timeout) = @_;

    my %old = map { $_ => 1 } $self->workers;
    kill HUP => $self->nginx_pid;
    return wait_for(sub {
        my @now = $self->workers;
        return @now && !grep { $old{$_} } @now;
    }, $timeout // 20);
}

# Stops nginx with QUIT or the given signal; returns its exit status.
sub stop_nginx {
    my ($self, $signal) = @_;
    my $proc = delete $self->{nginx} or return;

    # The workers of a killed master go on running.
    my @workers = children($proc->pid);
    my $rc = $proc->stop($signal // 'QUIT');
    $self->forget($proc);
    for my $pid (@workers) {
        kill KILL => $pid if (cmdline($pid) // '') =~ /^nginx: worker/;
    }
    $self->scan_process($proc);
    return $rc;
}

# Starts the dispatcher.  Its sandbox is without Landlock for a preloaded library,
# which reads files of the test, and off for the sanitizers, which write some.
sub run_dispatcher {
    my ($self, @opts) = @_;
    my $opts = ref $opts[0] ? shift @opts : {};

    my $parts = $self->sanitized ? 'off'
        : $opts->{env}{LD_PRELOAD} ? 'seccomp' : undef;
    unshift @opts, "--sandbox=$parts" if $parts;

    die "a dispatcher runs already\n"
        if $self->{dispatcher} && $self->{dispatcher}->running;
    $self->{dispatcher} = $self->start('dispatcher', $opts,
        "$self->{build}/eventsync-dispatcher", '--store', $self->store,
        @DISPATCHER_OPTS, @opts);
    return $self->{dispatcher};
}

sub stop_dispatcher {
    my ($self, $signal) = @_;
    my $proc = delete $self->{dispatcher} or return;

    my $rc = $proc->stop($signal // 'TERM');
    $self->forget($proc);
    $self->scan_process($proc);
    return $rc;
}

# Runs a change of an endpoint, and waits until a running dispatcher knows it.
sub in_effect {
    my ($self, $name, $do) = @_;
    my $proc = $self->{dispatcher};
    my $said = sub { scalar(() = $proc->stderr
        =~ /endpoint \Q$name\E: its record changed\b/g) };

    my $before = $proc && $said->();
    my @result = $do->();
    wait_for(sub { !$proc->running || $said->() > $before }, 2) if $proc;
    return wantarray ? @result : $result[0];
}

# Starts a webhook receiver; see Test::Eventsync::Receiver.
sub receiver {
    my ($self, $answer, %opts) = @_;

    my $recv = Test::Eventsync::Receiver->start(answer => $answer,
        dir => $self->{testdir}, port => free_port(), %opts);
    push @{ $self->{receivers} }, $recv;
    return $recv;
}

# Polls a condition every few milliseconds; returns its value, or nothing after
# the time limit.
sub wait_for {
    shift if ref $_[0] && ref $_[0] ne 'CODE';
    my ($condition, $timeout) = @_;
    my $end = time() + ($timeout // 10);

    while (1) {
        my $value = $condition->();
        return $value if $value;
        return if time() > $end;
        sleep 0.01;
    }
}

sub port_open {
    my ($port) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port,
        Timeout => 1) ? 1 : 0;
}

###############################################################################
# the end: stops everything and reads the logs

# Lines that match are expected and do not fail the test.
sub allow_errors {
    my ($self, @patterns) = @_;
    push @{ $self->{allowed} }, @patterns;
}

sub scan {
    my ($self, $name, $text) = @_;
    my @found;

    for my $line (split /\n/, $text) {
        next unless grep { $line =~ $_ } @BAD;
        next if grep { $line =~ $_ } @KNOWN, @{ $self->{allowed} };
        push @found, "$name: $line";
        last if @found >= 10;
    }
    push @{ $self->{faults} }, @found;
}

sub scan_process {
    my ($self, $proc) = @_;
    return if $self->{checked}{$proc->{err}}++;
    $self->scan($proc->{name}, $proc->stderr);
}

# Adds a sub to run after all processes have ended.
sub at_end {
    my ($self, $code) = @_;
    push @{ $self->{at_end} }, $code;
}

# Creates a directory and mounts a disk of the given size ("24m") on it, until
# the end; false where this is not permitted.  resize_disk() changes the size.
sub small_disk {
    my ($self, $dir, $size) = @_;
    mkdir $dir;
    system('mount', '-t', 'tmpfs', '-o', "size=$size", 'tmpfs', $dir) == 0
        or return 0;
    $self->at_end(sub { system('umount', $dir) });
    return 1;
}

sub resize_disk {
    my ($self, $dir, $size) = @_;
    system('mount', '-o', "remount,size=$size", $dir) == 0
        or die "$dir: cannot remount\n";
}

# Stops everything; returns the faults found in the logs.
sub stop {
    my ($self) = @_;

    return @{ $self->{faults} // [] } if $self->{stopped}++;
    $self->stop_dispatcher;
    $self->stop_nginx('TERM');
    for my $proc (splice @{ $self->{procs} }) {
        $proc->stop('TERM');
        $self->scan_process($proc);
    }
    $_->stop for @{ $self->{receivers} // [] };
    $_->() for splice @{ $self->{at_end} };
    $self->scan('error.log', $self->read_file('error.log'));
    for my $file (glob "$self->{testdir}/sanitizer.*") {
        my $text = $self->read_file($file);
        $self->scan('sanitizer', $text);
        Test::More::diag($text) if $text =~ /Sanitizer/;
    }
    return @{ $self->{faults} // [] };
}

# Leaves everything running; returns the pids that a later stop must end.
sub detach {
    my ($self) = @_;
    $self->{finished} = 1;
    return map { $_->pid } grep { $_->running } @{ $self->{procs} };
}

sub finish {
    my ($self) = @_;

    return 0 if $$ != $self->{owner} || $self->{finished}++;
    my @faults = $self->stop;
    Test::More::diag("in a log: $_") for @faults;
    if ($ENV{TEST_ES_CATLOG}) {
        Test::More::diag("$_:\n" . $self->read_file($_))
            for glob "$self->{testdir}/*.log $self->{testdir}/*.err";
    }
    if ($self->{keep}) {
        Test::More::diag("kept $self->{testdir}");
    } else {
        remove_tree($self->{testdir}, { safe => 0, error => \my $ignored });
    }
    return scalar @faults;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    $FAILED += $self->finish;
}

END {
    my $status = $?;
    for my $test (grep { defined } @LIVE) {
        $FAILED += $test->finish;
    }
    $? = $status || ($FAILED ? 1 : 0);
}

1;
