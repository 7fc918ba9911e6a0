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
our @EXPORT_OK = qw($PAGE %CODE lacks verify judged);

our $PAGE = do { local (@ARGV, $/) = 'docs/pollers.md'; <> };
our %CODE = $PAGE =~ /^### ([^\n]+)\n.*?```(?:js|python)\n(.*?)^```/msg;

my ($node) = (`node --version 2>/dev/null` // '') =~ /^v(\d+)/;
my $python = `python3 --version 2>/dev/null` // '';

# Why a program cannot run here; nothing if it can.
sub lacks {
    my ($language) = @_;
    return $python ? undef : 'python3 is not installed'
        if $language =~ /Python/;
    return ($node // 0) >= 20 ? undef : 'Node.js 20 is not installed';
}

# Starts verify-poller with a program in a directory of its own.  The options
# may have another command.
my $count = 0;
sub verify {
    my ($t, $language, $code, @options) = @_;
    my $id = 'poller' . ++$count;
    my $dir = $t->testdir . "/$id";
    my ($program, $name) = $language =~ /Python/ ? ('python3', 'poller.py')
        : ('node', 'poller.mjs');
    make_path($dir);
    $t->write_file("$id/$name", $code);
    return { dir => $dir, proc => $t->start($id, {}, 'sh', '-c',
        'cd "$1" && shift && exec "$@"', 'sh', $dir,
        $t->build . '/eventsyncctl', 'verify-poller', '--json', '--port=0',
        (grep { /^--run=/ } @options) ? () : "--run=exec $program $name",
        @options) };
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

1;
