# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Process;

# One child process: its output goes to files, and it is ended by its pid.

use warnings;
use strict;

use IO::Handle;
use POSIX ();
use Time::HiRes qw(sleep time);

my $counter = 0;

# name, dir, cmd (a list, or a sub that runs in the child), env (hash), stdin
# (text).
sub start {
    my ($class, %opts) = @_;

    my $base = sprintf '%s/%s-%d', $opts{dir}, $opts{name}, ++$counter;
    my $self = bless { name => $opts{name}, out => "$base.out",
        err => "$base.err", owner => $$ }, $class;

    if (defined $opts{stdin}) {
        open my $in, '>:raw', "$base.in" or die "$base.in: $!\n";
        print $in $opts{stdin};
        close $in;
    }
    # The files must exist at once, because the test may read them before the
    # child opens them.
    for my $file ($self->{out}, $self->{err}) {
        open my $fh, '>', $file or die "$file: $!\n";
    }

    my $pid = fork() // die "fork: $!\n";
    if ($pid == 0) {
        # A new session keeps a terminal's signals from the child.
        POSIX::setsid();
        @ENV{ keys %{ $opts{env} } } = values %{ $opts{env} };
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
        open STDIN, '<', defined $opts{stdin} ? "$base.in" : '/dev/null';
        open STDOUT, '>>', $self->{out};
        open STDERR, '>>', $self->{err};
        $self->run_sub($opts{cmd}) if ref $opts{cmd} eq 'CODE';
        { no warnings; exec { $opts{cmd}[0] } @{ $opts{cmd} }; }
        syswrite STDERR, "$opts{cmd}[0]: $!\n";
        POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    return $self;
}

sub run_sub {
    my ($self, $code) = @_;
    STDOUT->autoflush(1);
    $SIG{PIPE} = 'IGNORE';
    my $ok = eval { $code->(); 1 };
    syswrite STDERR, $@ unless $ok;
    POSIX::_exit($ok ? 0 : 1);
}

sub pid { $_[0]{pid} }

sub stdout { slurp($_[0]{out}) }
sub stderr { slurp($_[0]{err}) }

sub slurp {
    open my $fh, '<:raw', $_[0] or return '';
    local $/;
    return <$fh> // '';
}

# True while the process runs; stores its status when it has ended.
sub running {
    my ($self) = @_;

    return 0 if defined $self->{status};
    my $pid = waitpid $self->{pid}, POSIX::WNOHANG();
    return 1 if $pid == 0;
    $self->{status} = $pid < 0 ? 255 : $? & 127 ? 128 + ($? & 127) : $? >> 8;
    return 0;
}

# Waits for the exit status, which is 128 + n for a signal; undef: it still runs
# after the given time.
sub wait {
    my ($self, $timeout) = @_;
    my $end = time() + ($timeout // 10);
    my $nap = 0.001;

    while ($self->running) {
        return if time() > $end;
        sleep $nap;
        $nap = 0.01 if ($nap *= 2) > 0.01;
    }
    return $self->{status};
}

sub kill {
    my ($self, $signal) = @_;
    return $self->running && CORE::kill($signal, $self->{pid});
}

# Sends a signal and waits, then kills the process; returns its exit status.
sub stop {
    my ($self, $signal, $timeout) = @_;

    return if $$ != $self->{owner};
    $self->kill($signal // 'TERM');
    my $status = $self->wait($timeout // 20);
    return $status if defined $status;
    warn "$self->{name} ($self->{pid}) does not end; killed\n";
    $self->kill('KILL');
    return $self->wait(10);
}

1;
