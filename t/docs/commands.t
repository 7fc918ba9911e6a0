#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Every call of eventsyncctl and of the dispatcher in the documentation: the
# command is there, and has the options that the call gives.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my @pages = ('README.md', glob 'docs/*.md docs/guides/*.md docs/recipes/*');
my %options = (map { $_ => options($_) } commands());
my $dispatcher = { map { $_ => 1 } do {
    my $proc = $t->start('help', {}, $t->build . '/eventsync-dispatcher',
        '--help');
    $proc->wait(10);
    ($proc->stdout . $proc->stderr) =~ /--([a-z0-9-]+)/g;
}, 'help' };
my $calls = 0;

for my $page (@pages) {
    my @wrong;
    for my $call (calls($page)) {
        $calls++;
        push @wrong, wrong($call);
    }
    is_deeply(\@wrong, [], "$page: its commands are right");
}
cmp_ok($calls, '>', 200, 'there are calls');

done_testing();

###############################################################################

sub help { return ($t->ctl(@_, '--help'))[1] }

sub commands {
    my @commands;
    for my $name (map { split /, / } help() =~ /^  ([a-z-]+(?:, [a-z-]+)*)\s*/mg) {
        my $help = help($name);
        push @commands, $help =~ /^Options of every command:/m ? $name
            : $help =~ /^  (\Q$name\E [a-z-]+)/mg;
    }
    return @commands;
}

sub options {
    my ($command) = @_;
    return { map { $_ => 1 } help(split ' ', $command)
        =~ /^  --([a-z0-9-]+)/mg };
}

# The calls of a page, each as one line: in blocks and in `code`.  A call ends
# where the shell ends it.
sub calls {
    my ($page) = @_;
    my $text = do { local (@ARGV, $/) = $page; <> };
    $text =~ s/\\\n\s*/ /g;
    # a synopsis has its options on the lines that follow
    $text =~ s/^((?: {4})?eventsync(?:ctl|-dispatcher) .*)\n +(?=[\[-])/$1 /mg
        for 1 .. 9;
    my @calls;
    for my $line (split /\n/, $text) {
        # others are about a service of that name
        next if $line =~ /^\s*(?:journalctl|systemctl|apt|adduser|dpkg)/;
        for my $code ($line =~ /^(?: {4}|\$ )|^[a-z\/]/ ? $line : (),
            $line =~ /`(eventsync[^`]+)`/g)
        {
            push @calls, $code =~ m{(?<![\w/.-])(?:\S*/)?(eventsync(?:ctl|-dispatcher)
                \ [^;|&<>\n`]*)}xg;
        }
    }
    return @calls;
}

# What is wrong with a call; nothing if it is right.
sub wrong {
    my ($call) = @_;
    $call =~ s/#.*//;
    return if $call =~ /COMMAND/;
    $call =~ s/"[^"]*"|'[^']*'/x/g;
    my ($program, @words) = split ' ', $call =~ tr/[]()…,/      /r;
    my @given = map { /^--([a-z0-9-]+)/ } @words;
    return map { "$call: --$_" } grep { !$dispatcher->{$_} } @given
        if $program eq 'eventsync-dispatcher';

    # the words of the command stand behind the options of all commands
    my @plain;
    for (my $i = 0; $i < @words; $i++) {
        $i++, next if $words[$i] =~ /^--(?:store|key-file)$/;
        push @plain, $words[$i] if $words[$i] =~ /^[a-z-]+$/
            && $words[$i] !~ /^--/;
    }
    my $first = $plain[0] // '';
    my ($command) = grep { $options{$_} } "$first " . ($plain[1] // ''), $first;
    return if !defined $command && !@given;        # as in a sentence
    return grep { !/^(?:help|version)$/ } @given if $first eq '';
    return "$call: no such command" if !grep { /^\Q$first\E\b/ } keys %options;
    my $known = defined $command ? $options{$command} : { map { %$_ }
        map { $options{$_} } grep { /^\Q$plain[0]\E\b/ } keys %options };
    return map { "$call: --$_" } grep { !$known->{$_} } @given;
}
