# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Pollers;

# The pollers of docs/pollers.md: their code, and verify-poller that runs it, or
# a changed copy of it.

use warnings;
use strict;

use File::Path qw(make_path);
use JSON::PP;
use Test::More;

use Test::Eventsync;

use parent 'Exporter';
our @EXPORT_OK = qw($PAGE %CODE lacks place verify judged
    swap told mistakes);

our $PAGE = do { local (@ARGV, $/) = 'docs/pollers.md'; <> };
our %CODE = $PAGE =~ /^### ([^\n]+)\n.*?```(?:js|python)\n(.*?)^```/msg;

my ($node) = (`node --version 2>/dev/null` // '') =~ /^v(\d+)/;
my $python = `python3 --version 2>/dev/null` // '';

# Why a program cannot run here; nothing if it can.
sub lacks {
    my ($t, $language) = @_;
    return $python ? undef : 'python3 is not installed'
        if $language =~ /Python/;
    return 'Node.js 20 is not installed' if ($node // 0) < 20;
    return $language !~ /Streams/ || -d "$t->{build}/readers/node_modules/eventsource5"
        ? undef : 'npm has not installed eventsource: make readers';
}

# Makes a directory of its own with the program; returns its name, and the
# command.  Streams in Node.js use this version of eventsource.
my $count = 0;
sub place {
    my ($t, $language, $code, $version) = @_;
    my $id = 'poller' . ++$count;
    my ($program, $name) = $language =~ /Python/ ? ('python3', 'poller.py')
        : ('node', 'poller.mjs');
    make_path($t->testdir . "/$id/node_modules");
    $t->write_file("$id/$name", $code);
    my $from = $t->build . '/readers/node_modules';
    symlink "$from/eventsource-parser",
        $t->testdir . "/$id/node_modules/eventsource-parser";
    symlink "$from/" . ($version // 'eventsource'),
        $t->testdir . "/$id/node_modules/eventsource";
    return ($id, "exec $program $name");
}

# Starts verify-poller with a program that place() has made.  The options may
# have another command.
sub verify {
    my ($t, $place, @options) = @_;
    my ($id, $command) = @$place;
    my $dir = $t->testdir . "/$id";
    return { dir => $dir, proc => $t->start($id, {}, 'sh', '-c',
        'cd "$1" && shift && exec "$@"', 'sh', $dir,
        $t->build . '/eventsyncctl', 'verify-poller', '--json', '--port=0',
        (grep { /^--run=/ } @options) ? () : "--run=$command", @options) };
}

# Its exit status and report, when it has ended.
sub judged {
    my ($t, $run) = @_;
    my $rc = $run->{proc}->wait(120);
    $run->{proc}->stop('KILL') if !defined $rc;
    $t->forget($run->{proc});
    my $report = eval { decode_json($run->{proc}->stdout) };
    diag($run->{proc}->stdout, $run->{proc}->stderr) if !$report;
    return ($rc, $report // {});
}

# Changes a text that must be there once.
sub swap {
    my ($text, $from, $to) = @_;
    my $n = () = $text =~ /\Q$from\E/g;
    die "$n times: $from\n" if $n != 1;
    return $text =~ s/\Q$from\E/$to/r;
}

# Runs programs with a mistake each: [cause, options, code].  verify-poller must
# tell that mistake and no other.  Returns the causes.  A few run at a time, so
# that none is slow for want of a processor.
sub told {
    my ($t, @cases) = @_;
    my @running;
    for my $case (@cases) {
        my ($cause, $options, $code) = @$case;
        told_one($t, shift @running) if @running == 12;
        push @running, [$case, verify($t, [place($t, 'Python', $code)],
            @$options, (grep { /^--only/ } @$options) ? () : '--only=first')];
    }
    told_one($t, $_) for @running;
    return map { $_->[0] => 1 } @cases;
}

sub told_one {
    my ($t, $running) = @_;
    my ($case, $run) = @$running;
    my ($cause, $options) = @$case;
    my ($rc, $report) = judged($t, $run);
    my @causes = map { $_->{cause} } @{ $report->{hints} };
    is("$rc @causes", "1 $cause", "$cause @$options: is told")
        or diag(JSON::PP->new->pretty->encode($report), $run->{proc}->stderr);
}

# The causes of the page: those of readers of streams, or all others.
sub mistakes {
    my ($of) = @_;
    my ($table) = $PAGE =~ /^\| cause \|(.*?)\n\n/ms;
    return map { /^\| `([a-z0-9-]+)` \| (The reader)?/ && !$of == !$2 ? $1 : () }
        split /\n/, $table;
}

1;
