# SPDX-License-Identifier: BSD-2-Clause

package Bench;

# Functions for all benchmarks: rounds that alternate both sides, medians with
# their spread, and calls of wrk and of the programs of this directory.

use warnings;
use strict;

use File::Path qw(make_path remove_tree);
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);

use parent 'Exporter';
our @EXPORT = qw(alternate alternate_cpu cpu_seconds worked median ratio table
    program wrk sender verdict memory cores);

# Runs each side once per round and reverses the order in each round, so that a
# noisy neighbour or a warming disk affects both.  Returns { name => [values] }.
sub alternate {
    my ($rounds, %sides) = @_;
    my (%values, @names);

    @names = sort keys %sides;
    for my $round (1 .. $rounds) {
        for my $name ($round % 2 ? @names : reverse @names) {
            my $value = $sides{$name}->();
            push @{ $values{$name} }, $value;
            printf "  round %d  %-18s %14s\n", $round, $name, human($value);
        }
    }
    return \%values;
}

# The kernel counts CPU time in these ticks, usually hundredths of a second.
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());

# User and system time that the processes have used.
sub cpu_seconds {
    my $sum = 0;
    for my $pid (@_) {
        my @stat = split ' ', slurp("/proc/$pid/stat") =~ s/^.*\) //sr;
        $sum += $stat[11] + $stat[12];
    }
    return $sum / $ticks;
}

# Runs `work`, which returns units per second.  Returns that, and the CPU time
# of the processes per unit, in microseconds.
sub worked {
    my ($pids, $work) = @_;
    my ($cpu, $began) = (cpu_seconds(@$pids), time());
    my $rate = $work->();

    return ($rate,
        1e6 * (cpu_seconds(@$pids) - $cpu) / ($rate * (time() - $began)));
}

# As alternate().  Returns a second hash, of the CPU time per unit.
sub alternate_cpu {
    my ($rounds, $pids, %sides) = @_;
    my %cpu;

    my $v = alternate($rounds, map { my $name = $_;
        ($name => sub {
            my ($rate, $cpu) = worked($pids, $sides{$name});
            push @{ $cpu{$name} }, $cpu;
            return $rate;
        }) } keys %sides);
    return ($v, \%cpu);
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    my $n = @sorted or return 0;
    return $n % 2 ? $sorted[$n / 2]
        : ($sorted[$n / 2 - 1] + $sorted[$n / 2]) / 2;
}

# Ratios of the same round, so that drift cancels: [median, min, max].
sub ratio {
    my ($ours, $theirs) = @_;
    my @ratios = sort { $a <=> $b }
        map { $ours->[$_] / $theirs->[$_] } 0 .. $#$ours;
    return [median(@ratios), $ratios[0], $ratios[-1]];
}

sub human {
    my ($n) = @_;
    return $n >= 1000 ? sprintf('%.0f', $n) : sprintf('%.2f', $n);
}

# Prints rows of [name, values] in the given unit.
sub table {
    my ($unit, @rows) = @_;

    printf "\n  %-34s %12s %12s %12s  %s\n", '', 'median', 'min', 'max', $unit;
    for my $row (@rows) {
        my ($name, $values) = @$row;
        my @sorted = sort { $a <=> $b } @$values;
        printf "  %-34s %12s %12s %12s\n", $name,
            map { human($_) } median(@sorted), @sorted[0, -1];
    }
    print "\n";
}

# Prints the last line of a benchmark.  The target is ">= 0.8" or "<= 1.0".
sub verdict {
    my ($name, $ratio, $target, $note) = @_;
    my ($op, $bound) = $target =~ /^([<>]=) ([\d.]+)$/ or die "$target\n";
    my $met = $op eq '>=' ? $ratio->[0] >= $bound : $ratio->[0] <= $bound;

    printf "%s: ratio %.2f (min %.2f, max %.2f, target %s %s, %s%s)\n", $name,
        @$ratio, $op, $bound, $met ? 'met' : 'MISSED', $note ? ", $note" : '';
}

# Runs a program of this directory and decodes its line.  A leading
# { core => n } pins it to a core.
sub program {
    my ($build, @cmd) = @_;
    my $opts = ref $cmd[0] ? shift @cmd : {};
    $cmd[0] = "$build/bench/$cmd[0]";
    unshift @cmd, 'taskset', '-c', $opts->{core} if defined $opts->{core};

    open my $fh, '-|', @cmd or die "$cmd[0]: $!\n";
    my $line = do { local $/; <$fh> };
    close $fh or die "@cmd: failed\n";
    return decode_json($line);
}

# Requests per second of a single wrk thread on the second core.  A failed
# request is fatal.  Options: url, seconds, connections, headers, script.
sub wrk {
    my (%opts) = @_;
    my @cmd = ('wrk', '-t1', '-c' . ($opts{connections} // 32),
        "-d$opts{seconds}s");

    unshift @cmd, 'taskset', '-c', '1' if cores() > 1;
    push @cmd, map { ('-H', $_) } @{ $opts{headers} // [] };
    push @cmd, '-s', $opts{script} if $opts{script};

    open my $fh, '-|', @cmd, $opts{url} or die "wrk: $!\n";
    my $out = do { local $/; <$fh> };
    close $fh or die "wrk failed:\n$out\n";
    die "wrk saw failures:\n$out\n"
        if $out =~ /Non-2xx|Socket errors/ || $out !~ m{Requests/sec:\s+([\d.]+)};
    $out =~ m{Requests/sec:\s+([\d.]+)};
    return $1;
}

sub cores {
    my $n = () = slurp('/proc/cpuinfo') =~ /^processor/mg;
    return $n;
}

# Resident memory of a process in MB: anonymous, and of mapped files.
sub resident {
    my ($pid) = @_;
    my %kb = slurp("/proc/$pid/status") =~ /^Rss(Anon|File|Shmem):\s+(\d+)/mg;
    return ((($kb{Anon} // 0) + ($kb{Shmem} // 0)) / 1024,
        ($kb{File} // 0) / 1024);
}

sub memory {
    return sprintf '%.1f MB own, %.1f MB of mapped files', resident(@_);
}

sub slurp {
    open my $fh, '<', $_[0] or return '';
    local $/;
    return <$fh>;
}

1;
