#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The files of dispatcher/ call each other in one direction only, and so do the
# folders of shared/.  A call, or a function that is passed on by its name, is
# an edge from the file that names the function to the file that defines it.
# A part that must be reached from below sets a flag or keeps a callback.  The
# map in dispatcher.h has each file of the folder once.

use warnings;
use strict;

use Test::More;

my %dispatcher = map { slurp($_) } glob 'dispatcher/*.c';
my %shared = map { slurp($_) } glob 'shared/*/*.c';

sub by_file   { return $_[0] =~ m{(\w+)\.c$} }
sub by_folder { return $_[0] =~ m{(\w+)/\w+\.c$} }

cmp_ok(scalar keys %dispatcher, '>', 40, 'the files of dispatcher/ are found');
is_deeply([cycles(\%dispatcher, \&by_file)], [],
    'no cycle of calls between files of dispatcher/');

cmp_ok(scalar keys %shared, '>', 100, 'the files of shared/ are found');
is_deeply([cycles(\%shared, \&by_folder)], [],
    'no cycle of calls between folders of shared/');

# The map of files.

open my $map, '<', 'dispatcher/dispatcher.h' or die $!;
is_deeply([ sort map { m{^ \*     (\w+\.c) } ? $1 : () } <$map> ],
    [ sort map { m{([^/]+)$} } glob 'dispatcher/*.c' ],
    'dispatcher.h lists the files of dispatcher/');

# The test notices a cycle.

my %wrong = %dispatcher;
$wrong{'dispatcher/waiting.c'} .= "\nvoid\nesd_wrong(void)\n{\n"
    . "    esd_lane_create(NULL, NULL);\n}\n";
like(join("\n", cycles(\%wrong, \&by_file)),
    qr/\blane -> waiting: esd_waiting_\w+/, 'a call upwards is noticed');

$wrong{'dispatcher/waiting.c'} = $dispatcher{'dispatcher/waiting.c'}
    . "\nstatic void (*wrong)(void) = esd_loop_init;\n";
like(join("\n", cycles(\%wrong, \&by_file)), qr/\bwaiting -> loop\b/,
    'so is a callback');

done_testing();

# The edges that lie on a cycle, each with the functions that make it.
sub cycles {
    my ($sources, $room) = @_;
    my (%defined, %calls);

    for my $file (sort keys %$sources) {
        my ($in) = $room->($file);
        $defined{$_} = $in for definitions($sources->{$file});
    }

    for my $file (sort keys %$sources) {
        my ($in) = $room->($file);
        my %own = map { $_ => 1 } statics($sources->{$file});
        for my $name ($sources->{$file} =~ /\b(esd?_\w+)\b/g) {
            my $to = $defined{$name};
            $calls{$in}{$to}{$name} = 1
                if defined $to && $to ne $in && !$own{$name};
        }
    }

    my %reached = map { $_ => reachable($_, \%calls) } keys %calls;
    my @edges;
    for my $from (sort keys %calls) {
        for my $to (sort keys %{ $calls{$from} }) {
            push @edges, "$from -> $to: "
                . join(', ', sort keys %{ $calls{$from}{$to} })
                if $reached{$to}{$from};
        }
    }
    return @edges;
}

sub reachable {
    my ($from, $calls) = @_;
    my (%seen, @next);
    @next = keys %{ $calls->{$from} };
    while (defined(my $at = shift @next)) {
        push @next, keys %{ $calls->{$at} || {} } if !$seen{$at}++;
    }
    return \%seen;
}

# Functions stand at the beginning of a line, their type on the line above.
sub definitions {
    my ($text) = @_;
    my %static = map { $_ => 1 } statics($text);
    return grep { !$static{$_} } $text =~ /^(esd?_\w+)\(/mg;
}

sub statics {
    my ($text) = @_;
    return $text =~ /^static [^;={(]*?\b(esd?_\w+)\(/mg;
}

# A file's text without comments and strings.
sub slurp {
    my ($name) = @_;
    open my $fh, '<', $name or die "$name: $!\n";
    local $/;
    my $text = <$fh>;
    $text =~ s{/\*.*?\*/}{}gs;
    $text =~ s/"(?:\\.|[^"\\\n])*"/""/g;
    return $name, $text;
}
