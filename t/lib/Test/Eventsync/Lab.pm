# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Lab;

# The programs of docs/lab.md, put together as a learner does it, and the lab
# that runs them.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use Test::Eventsync;

use parent 'Exporter';
our @EXPORT_OK = qw($PAGE @STEPS programs each_step each_case);

our $PAGE = do { local (@ARGV, $/) = 'docs/lab.md'; <> };
our @STEPS = qw(signature duplicates reordering gap rotate outage);

# The lab starts nginx, of which the harness checks neither leaks nor duplicate
# globals.
$ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (), 'detect_leaks=0',
    'detect_odr_violation=0';

# What the lab says to the program of the step before.
my %WRONG = (
    signature => qr/to the request "wrong-signature"/,
    duplicates => qr/ has applied event-01 twice/,
    reordering => qr/ has applied event-0\d after event-0\d/,
    gap => qr/ not applied event-02, which no webhook brings/,
    rotate => qr/ not applied event-03, which is signed with the second secret/,
    outage => qr/ not applied event-02, which was published while the receiver/,
);

my %FUNCTION = (
    python => qr/^def (\w+)\(.*?(?=^\S|\z)/ms,
    js => qr/^(?:async )?function (\w+)\(.*?^\}\n+/ms,
);
my %BEFORE = (python => 'class Hook', js => '// Webhooks are');

# Replaces the functions of the program by those of the text, or adds them.
sub replace {
    my ($language, $program, $text) = @_;
    while ($text =~ /($FUNCTION{$language})/g) {
        my ($new, $name) = ($1, $2);
        $new =~ s/\n*\z/$language eq 'python' ? "\n\n\n" : "\n\n"/e;
        my $found = 0;
        $program =~ s/$FUNCTION{$language}/$1 eq $name && !$found++ ? $new : $&/ge;
        $program =~ s/^(?=\Q$BEFORE{$language}\E)/$new/m if !$found;
    }
    return $program;
}

# The program at the beginning, and after each step.
sub programs {
    my ($language) = @_;
    my ($begin, @sections) = split /^## \d\. .*\n/m, $PAGE =~ s/^## After.*//msr;
    my @code = map { /^```\Q$language\E\n(.*?)^```/ms ? $1 : die "no $language\n" }
        $begin, @sections;
    my @programs = shift @code;
    push @programs, replace($language, $programs[-1], $_) for @code;
    return @programs;
}

# Starts a step with a program.
my $count = 0;
sub lab {
    my ($t, $language, $program, $step, @options) = @_;
    my $dir = $t->testdir . '/lab' . ++$count;
    my $name = $language eq 'python' ? 'receiver.py' : 'receiver.mjs';
    mkdir $dir;
    $t->write_file("lab$count/$name", $program);
    my $run = ($language eq 'python' ? 'python3' : 'node') . " $dir/$name";
    return { dir => "$dir/lab", proc => $t->start("lab$count", {},
        $t->build . '/eventsyncctl', 'lab', "$dir/lab", $step || (),
        '--nginx=' . $t->nginx_binary,
        (grep { /^--run=/ } @options) ? () : "--run=exec $run",
        '--port=' . $t->free_port, '--api-port=' . $t->free_port, '--json',
        grep { $_ ne '--run=' } @options) };
}

sub judged {
    my ($t, $run) = @_;
    my $rc = $run->{proc}->wait(120);
    $run->{proc}->stop('TERM') if !defined $rc;
    $t->forget($run->{proc});
    return ($rc, eval { decode_json($run->{proc}->stdout) } // {});
}

# Plays the learner in each step: the program of the step before is wrong, and
# the next one is right.
sub each_step {
    my ($t, $language) = @_;
    my @programs = programs($language);
    each_case($t, $language, map { ([$STEPS[$_], $programs[$_],
        $WRONG{ $STEPS[$_] }], [$STEPS[$_], $programs[$_ + 1]]) } 0 .. $#STEPS);
}

# Runs programs: [step, program, what the lab says is wrong or undef, what it
# says to change].
sub each_case {
    my ($t, $language, @cases) = @_;
    my @running;
    for my $case (@cases) {
        finished($t, shift @running) if @running == 8;
        push @running, [$case, lab($t, $language, @$case[1, 0])];
    }
    finished($t, $_) for @running;
}

sub finished {
    my ($t, $running) = @_;
    my ($case, $run) = @$running;
    my ($step, undef, $wrong, $change) = @$case;
    my ($rc, $report) = judged($t, $run);
    my $ok = $wrong ? $rc == 1 && !$report->{pass} && $report->{wrong} =~ $wrong
        && $report->{change} =~ ($change // qr/\w{3}/) : $rc == 0 && $report->{pass};
    ok($ok, $wrong ? "$step: $report->{wrong}" : "$step: is passed")
        or diag($run->{proc}->stdout, $run->{proc}->stderr);
}

1;
