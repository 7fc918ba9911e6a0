# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Metrics;

# A strict parser of Prometheus' text format, version 0.0.4.  It knows only the
# part that eventsync writes, and reports all else as a fault.
#
#     my ($metrics, @faults) = parse($text);
#     $metrics->{'name{a="1",b="2"}'}       # labels by their names

use warnings;
use strict;

use parent 'Exporter';
our @EXPORT = qw(parse_metrics);

my $NAME = qr/eventsync_[a-z0-9_]+/;
my $VALUE = qr/(?:\\\\|\\"|\\n|[^\\"\n])*/;
my $NUMBER = qr/\d+(?:\.\d+)?/;

sub parse_metrics {
    my ($text) = @_;
    my (%metrics, %types, @faults, $name, $helped);

    push @faults, 'the last line does not end' unless $text =~ /\n\z/;
    for my $line (split /\n/, $text, -1) {
        next if $line eq '';
        if ($line =~ /^# HELP ($NAME) (\S.*\.)$/) {
            ($helped, my $help) = ($1, $2);
            push @faults, "$helped comes again" if $types{$helped};
            push @faults, "help: $help" if $help =~ /\\/;
        } elsif ($line =~ /^# TYPE ($NAME) (counter|gauge|histogram)$/) {
            ($name, my $type) = ($1, $2);
            push @faults, "$name has a type and no help" if ($helped // '') ne $name;
            push @faults, "$name is a counter by name or by type"
                if ($type eq 'counter') != ($name =~ /_total$/ ? 1 : 0);
            push @faults, "$name: unit" if $name =~ /_(?:ms|us|kb|mb|minutes)\b/;
            $types{$name} = $type;
        } elsif ($line =~ /^($NAME)(?:\{(.*)\})? ($NUMBER)$/) {
            my ($sample, $labels, $value) = ($1, $2, $3);
            my @suffixes = !defined $name ? ()
                : $types{$name} eq 'histogram' ? qw(_bucket _sum _count) : '';
            push @faults, "$line is of no family" unless grep { $sample eq "$name$_" } @suffixes;
            my ($key, @wrong) = labels($labels);
            push @faults, map { "$line: $_" } @wrong;
            push @faults, "$line: twice" if exists $metrics{"$sample$key"};
            $metrics{"$sample$key"} = $value;
        } else {
            push @faults, "no such line: $line";
        }
    }
    push @faults, map { histogram(\%metrics, $_) }
        grep { $types{$_} eq 'histogram' } sort keys %types;
    return (\%metrics, @faults);
}

sub labels {
    my ($text) = @_;
    my %labels;

    return '' unless defined $text;
    while ($text =~ /\G([a-z_]+)="($VALUE)"(?:,(?!\z)|\z)/gc) {
        return ('', "label $1 twice") if exists $labels{$1};
        $labels{$1} = $2;
    }
    return ('', 'labels') if (pos $text // 0) != length $text || !%labels;
    return '{' . join(',', map { "$_=\"$labels{$_}\"" } sort keys %labels) . '}';
}

# The buckets of a histogram must rise up to its count.
sub histogram {
    my ($metrics, $name) = @_;
    my %buckets = map { /^${name}_bucket\{le="(.*)"\}$/ ? ($1 => $metrics->{$_}) : () }
        keys %$metrics;
    my ($last, @faults) = (0);

    for my $bound (sort { $a <=> $b } keys %buckets) {
        push @faults, "$name: le=\"$bound\" falls" if $buckets{$bound} < $last;
        $last = $buckets{$bound};
    }
    push @faults, "$name: +Inf is not its count"
        if ($buckets{'+Inf'} // -1) != ($metrics->{"${name}_count"} // -2);
    push @faults, "$name has no sum" unless defined $metrics->{"${name}_sum"};
    return @faults;
}

1;
