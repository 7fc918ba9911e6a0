#!/usr/bin/perl

# The library's unit tests: each program of t/unit/ is one subtest.

use warnings;
use strict;

use Test::More;

my $dir = ($ENV{BUILD} || 'build') . '/unit';

for my $source (sort glob 't/unit/*.c') {
    my ($name) = $source =~ m{/([^/]+)\.c$};

    subtest $name => sub {
        my $program = "$dir/$name";

        if (!-x $program) {
            fail("$program is built");
            return;
        }

        run($program);
    };
}

done_testing();

# Passes a program's TAP on, line by line.
sub run {
    my ($program) = @_;
    my $planned;

    # What the program says to standard error (a sanitizer, an abort) belongs
    # to its output.
    my $pid = open my $out, '-|';
    die "cannot fork: $!" if !defined $pid;

    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        exec $program or exit 127;
    }

    while (my $line = <$out>) {
        chomp $line;

        if ($line =~ /^(not )?ok \d+(?: - (.*))?$/) {
            ok(!$1, $2);
        } elsif ($line =~ /^1\.\.(\d+)$/) {
            $planned = $1;
        } else {
            diag($line);
        }
    }

    close $out;
    is($?, 0, 'it ends well');
    is(Test::More->builder->current_test - 1, $planned, 'as many as planned');
}
