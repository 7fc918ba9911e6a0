# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what costs grow with a very long history.

use warnings;
use strict;

use Test::Eventsync qw(wait_for);

our ($t, $build, $rounds, $seconds, %opt);

use constant BYTES => 700;      # of disk for an event, with all indexes

# A feed of 100 million events beside one of a million: pages and filters within
# the newest million, start-up, verify, and publishing.  Pages from random
# positions of all are more than memory, so their reads are only stated.
sub growth_100m {
    my $newest = $opt{quick} ? 10_000 : 1_000_000;
    my $large = $opt{events} || ($opt{quick} ? 100_000 : 100_000_000);
    $large -= $large % $newest;

    room_for($large + $newest);
    my @make = ('--types', 1000, '--subjects', 1000);
    my %side = (small => grown($newest, @make), large => grown($large, @make));
    my $recent = '#' x (length($newest) - 1);
    my %recent = (small => $recent, large => $large / $newest - 1 . $recent);

    # Publishing comes last, because it makes the small feed grow, and the start
    # of a dispatcher after verify, because it may pack the large feed.
    my %work = map { my $filter = $_->[1];
        ($_->[0] => sub { page_rate($_[0], $filter, $recent{$_[1]}) }) }
        [pages => ''], [type => '&types=bench.type7'],
        [subject => '&subject=item/7'];
    my %cost = (start => \&start_cost, verify => \&verify_cost);
    my %rest = (publish => sub { insert_rate($_[0], 64, 1) },
        batch => sub { insert_rate($_[0], 4, 1000) });
    my %names = (pages => 'pages of the newest', type => 'by type',
        subject => 'by subject', start => 'ms of processor time to start',
        verify => 'us of processor time to verify an event',
        publish => 'publish, 64 producers', batch => 'publish, 1,000 a request');
    my (@rows, @worst);

    for my $what (qw(pages type subject verify start publish batch)) {
        my $do = $work{$what} // $cost{$what} // $rest{$what};
        my $v = alternate($rounds, map { my $n = $_;
            ($n => sub { $do->($side{$n}, $n) }) } keys %side);
        push @rows, ["$names{$what}, $newest events", $v->{small}],
            ["$names{$what}, $large events", $v->{large}];

        # Cost is the inverse of a rate.
        my $ratio = $cost{$what} ? ratio($v->{large}, $v->{small})
            : ratio($v->{small}, $v->{large});
        push @worst, [$what, $ratio];
        random_pages($side{large}) if $what eq 'subject';
    }
    table('requests or events/s, or as said', @rows);
    verdict("growth-100m ($_->[0])", $_->[1], '<= 1.3') for @worst;
    my ($worst) = sort { $b->[1][0] <=> $a->[1][0] } @worst;
    verdict('growth-100m', $worst->[1], '<= 1.3', 'the highest of all');
}

# Dies unless the disk of TMPDIR has room for so many events.
sub room_for {
    my ($events) = @_;
    my $free = (split ' ', (`df -Pk @{[$t->testdir]}`)[-1])[3] / 1e6;
    my $need = $events * BYTES / 1e9;

    die sprintf("growth-100m: %d events need %.0f GB, and the disk has %.0f; "
        . "take --events or another TMPDIR\n", $events, $need, $free)
        if $need > $free;
    printf "  %.0f GB are free, %.1f are needed at most\n", $free, $need;
}

# States what pages from random positions of the whole feed read from the disk.
sub random_pages {
    my ($side) = @_;
    my ($pid) = $side->{t}->workers;
    my $read = sub { Bench::slurp("/proc/$pid/io") =~ /^read_bytes: (\d+)/m
        ? $1 : 0 };
    my ($before, $faults) = ($read->(), major_faults($pid));
    my $n = page_rate($side) * $seconds || 1;

    printf "  random pages of all: %.0f a second, each with %.2f reads, %.1f KB\n",
        $n / $seconds, (major_faults($pid) - $faults) / $n,
        ($read->() - $before) / 1024 / $n;
}

sub major_faults {
    my ($pid) = @_;
    return (split ' ', Bench::slurp("/proc/$pid/stat") =~ s/^.*\) //sr)[9];
}

# Milliseconds of processor time until a dispatcher is ready.
sub start_cost {
    my ($side) = @_;
    my $n = 5;
    my $cpu = 0;
    local $t = $side->{t};

    for (1 .. $n) {
        my $proc = $t->run_dispatcher;
        wait_for(sub { $proc->stderr =~ /eventsync-dispatcher \S+ on / }, 60)
            or die "the dispatcher does not start\n";
        $cpu += cpu_seconds($proc->pid);
        stop();
    }
    return 1000 * $cpu / $n;
}

# Microseconds of processor time of `verify` for an event.
sub verify_cost {
    my ($side) = @_;
    my $before = (times)[2] + (times)[3];

    $side->{t}->ctl_ok(qw(verify --quiet));
    return 1e6 * ((times)[2] + (times)[3] - $before) / $side->{events};
}

1;
