#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Makes a man page of a page of the documentation:
#
#     docs/man.pl --list             name.section of each
#     docs/man.pl NAME.SECTION VERSION > FILE
#
# The pages are written for a browser.  For a terminal, tables become lists, and
# links become names.  lowdown(1) does the rest.  The date is that of the page,
# or SOURCE_DATE_EPOCH.

use warnings;
use strict;

use FindBin qw($Bin);
use IPC::Open2 qw(open2);
use POSIX qw(strftime);

# Name and section, page, what apropos(1) shows, and the call of a program whose
# page does not begin with it.
my @PAGES = (
    ['eventsyncctl.1', 'eventsyncctl', 'administer an event store, and receive webhooks'],
    ['eventsync-dispatcher.8', 'dispatcher', 'send webhooks from an event store',
        'eventsync-dispatcher --store=PATH [OPTIONS]'],
    ['eventsync-directives.5', 'directives', 'directives of the nginx module eventsync'],
    ['eventsync-registry.7', 'registry', 'partners, keys and endpoints of an event store'],
    ['eventsync-store.7', 'operations', 'operate an event store and its processes'],
);
my %name = map { $_->[1] => $_->[0] =~ s/\.(\d)$/($1)/r } @PAGES;

my ($wanted, $version) = @ARGV;
die "usage: man.pl --list | NAME.SECTION VERSION\n" if !defined $wanted;

if ($wanted eq '--list') {
    print map { "$_->[0]\n" } @PAGES;
    exit 0;
}

my ($page) = grep { $_->[0] eq $wanted } @PAGES;
die "man.pl: no page \"$wanted\"\n" if !$page || !defined $version;

my $source = "$Bin/$page->[1].md";
print roff(markdown($page), $wanted =~ /^(.*)\.(\d)$/);

###############################################################################

# The page as Markdown for a terminal.
sub markdown {
    my ($p) = @_;
    my ($name, undef, $about, $call) = @$p;
    open my $fh, '<', $source or die "man.pl: $source: $!\n";
    my @lines = <$fh>;
    close $fh;
    chomp @lines;

    my $text = "# NAME\n\n" . $name =~ s/\.\d$//r . " - $about\n";
    my $fenced = 0;
    my ($begun, @table);

    shift @lines while @lines && $lines[0] =~ /^(?:# .*)?$/;
    if ($lines[0] =~ /^ {4}(.*)/) {
        $call = $1;
        shift @lines;
    }
    $text .= "\n# SYNOPSIS\n\n`$call`\n" if $call;
    my ($first) = grep { length } @lines;
    $text .= "\n# DESCRIPTION\n" if $first !~ /^##/;

    for (@lines, '') {
        my $line = $_;
        $fenced = !$fenced if $line =~ /^\s*```/;
        if (!$fenced && $line =~ /^\|/) {
            push @table, $line;
            next;
        }
        $text .= list(@table);
        @table = ();
        $line = "#\U$1" if !$fenced && $line =~ /^##( .*)/;
        $line =~ s/^###/##/ if !$fenced;
        $text .= ($fenced || $line =~ /^ {4}/ ? $line : plain($line)) . "\n";
    }
    return unlink_all($text) . see_also($name);
}

sub see_also {
    my ($this) = @_;
    return "\n# SEE ALSO\n\n" . join(', ', map { s/\.(\d)$/($1)/r }
            grep { $_ ne $this } map { $_->[0] } @PAGES)
        . "\n\nA name that ends with .md is a page of the documentation, which comes"
        . " with the source and in the package eventsync-doc.\n";
}

# A table as a list: the first cell is the term, and the last one says what it
# means.
sub list {
    my @rows = map { [ map { s/\\\|/|/gr =~ s/^\s+|\s+$//gr }
        split /(?<!\\)\|/, s/^\||\|\s*$//gr ] } @_;
    return '' if @rows < 3;
    my ($head, undef, @body) = @rows;
    my $text = '';

    for my $row (@body) {
        my ($term, @cells) = @$row;
        my $last = pop @cells;
        my @more = map { $cells[$_] eq '' ? ()
            : $cells[$_] eq 'required' ? 'required'
            : "$head->[$_ + 1]: $cells[$_]" } 0 .. $#cells;
        $last .= ' (' . join('; ', @more) . ')' if @more;
        $text .= plain($term) . "\n:   " . plain($last) . "\n\n";
    }
    return $text;
}

# Without anchors; and with each "_" in a word, which lowdown takes for emphasis.
sub plain {
    my ($line) = @_;
    $line =~ s/<a id="[^"]*"><\/a>//g;
    return $line =~ s{(`[^`]*`)|(?<=\w)_(?=\w)}{$1 // '\\_'}ger;
}

# Links that lead to other pages become the names of these.  They may be broken
# over two lines.
sub unlink_all {
    my ($text) = @_;
    $text =~ s{\[([^\]]+)\]\(([^)\s]+)\)}{link_text($1, $2)}ge;
    return $text;
}

sub link_text {
    my ($shown, $to) = @_;
    return "$shown ($to)" if $to =~ /^https?:/;
    return $name{$1} if $shown =~ /^(\w+)\.md$/ && $name{$1};
    return $shown;
}

sub roff {
    my ($text, $name, $section) = @_;
    die "man.pl: lowdown is not installed; install-deps.sh installs it\n"
        if system('command -v lowdown >/dev/null') != 0;

    my $date = strftime('%Y-%m-%d', gmtime($ENV{SOURCE_DATE_EPOCH}
        // (stat $source)[9]));
    my $pid = open2(my $out, my $in, 'lowdown', '-s', '-Tman',
        '-Mtitle=' . uc $name, "-Msection=$section", "-Msource=eventsync $version",
        '-Mvolume=eventsync', "-Mdate=$date");
    binmode $_, ':raw' for $out, $in;
    print {$in} $text;
    close $in;
    my $roff = do { local $/; <$out> };
    waitpid $pid, 0;
    die "man.pl: lowdown failed\n" if $?;
    return $roff;
}
