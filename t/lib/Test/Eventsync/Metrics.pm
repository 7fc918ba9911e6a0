# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Metrics;

# A strict parser of Prometheus' text format, version 0.0.4, and of OpenMetrics
# 1.0.  It knows only the part that eventsync writes, and reports all else as a
# fault.
#
#     my ($metrics, @faults) = parse_metrics($text);
#     $metrics->{'name{a="1",b="2"}'}       # labels by their names
#
#     my ($metrics, $exemplars, @faults) = parse_openmetrics($text);
#     $exemplars->{'name_bucket{le="1.0"}'} # { labels => {}, value =>, time => }

use warnings;
use strict;

use parent 'Exporter';
our @EXPORT = qw(parse_metrics parse_openmetrics);

my $NAME = qr/eventsync_[a-z0-9_]+/;
my $VALUE = qr/(?:\\\\|\\"|\\n|[^\\"\n])*/;
my $NUMBER = qr/\d+(?:\.\d+)?/;

sub parse_metrics {
    my ($text) = @_;
    my $p = { metrics => {}, types => {}, faults => [] };

    fault($p, 'the last line does not end') unless $text =~ /\n\z/;
    for my $line (split /\n/, $text, -1) {
        line($p, $line) if $line ne '';
    }
    return ($p->{metrics}, ended($p));
}

# No line is empty, and nothing follows the end.
sub parse_openmetrics {
    my ($text) = @_;
    my $p = { metrics => {}, types => {}, faults => [], exemplars => {}, units => {} };

    fault($p, 'no end') unless $text =~ s/\n# EOF\n\z//;
    line($p, $_) for split /\n/, $text, -1;
    for my $name (sort keys %{ $p->{types} }) {
        my ($unit) = $name =~ /_(seconds|bytes|ratio)$/;
        fault($p, "$name has no unit")
            if defined $unit && ($p->{units}{$name} // '') ne $unit;
    }
    return ($p->{metrics}, $p->{exemplars}, ended($p));
}

sub fault {
    my ($p, @faults) = @_;
    push @{ $p->{faults} }, @faults;
}

sub ended {
    my ($p) = @_;
    my @histograms = grep { $p->{types}{$_} eq 'histogram' } sort keys %{ $p->{types} };
    return (@{ $p->{faults} }, map { histogram($p->{metrics}, $_) } @histograms);
}

sub line {
    my ($p, $line) = @_;
    my $open = $p->{exemplars};

    if ($line =~ /^# HELP ($NAME) (\S.*\.)$/) {
        ($p->{helped}, my $help) = ($1, $2);
        fault($p, "$p->{helped} comes again") if $p->{types}{$p->{helped}};
        fault($p, "help: $help") if $help =~ /[\\"]/;
    } elsif ($line =~ /^# TYPE ($NAME) (counter|gauge|histogram|summary|info)$/) {
        family($p, $1, $2);
    } elsif ($open && $line =~ /^# UNIT ($NAME) (\w+)$/) {
        my ($name, $unit) = ($1, $2);
        fault($p, "$name has a unit before its type") if ($p->{name} // '') ne $name;
        fault($p, "$name does not end with $unit") unless $name =~ /_$unit$/;
        $p->{units}{$name} = $unit;
    } elsif ($line =~ /^($NAME)(?:\{(.*?)\})? ($NUMBER)(?: # \{(.*)\} ($NUMBER) ($NUMBER))?$/) {
        my ($sample, $labels, @exemplar) = ($1, $2, $4, $5, $6);
        sample($p, $line, $sample, $labels, $3);
        exemplar($p, $line, $sample . (labels($labels))[0], @exemplar) if defined $exemplar[0];
    } else {
        fault($p, "no such line: $line");
    }
}

sub family {
    my ($p, $name, $type) = @_;
    my $open = $p->{exemplars};

    fault($p, "$name has a type and no help") if ($p->{helped} // '') ne $name;
    fault($p, "$name is a counter by name or by type")
        if ($open ? 0 : $type eq 'counter') != ($name =~ /_total$/ ? 1 : 0);
    fault($p, "$name is no info in the text format") if !$open && $type eq 'info';
    fault($p, "$name: unit") if $name =~ /_(?:ms|us|kb|mb|minutes)\b/;
    @$p{qw(name type)} = ($name, $type);
    $p->{types}{$name} = $type;
}

sub sample {
    my ($p, $line, $sample, $labels, $value) = @_;
    my ($type, $name) = @$p{qw(type name)};
    my @suffixes = !defined $name ? ()
        : $type eq 'histogram' ? qw(_bucket _sum _count)
        : $type eq 'summary' ? qw(_sum _count)
        : $type eq 'info' ? '_info'
        : $type eq 'counter' && $p->{exemplars} ? '_total' : '';
    fault($p, "$line is of no family") unless grep { $sample eq "$name$_" } @suffixes;
    my ($key, @wrong) = labels($labels);
    fault($p, map { "$line: $_" } @wrong);
    fault($p, "$line: twice") if exists $p->{metrics}{"$sample$key"};
    $p->{metrics}{"$sample$key"} = $value;
}

sub exemplar {
    my ($p, $line, $series, $labels, $value, $time) = @_;
    my %labels = $labels =~ /([a-z_]+)="($VALUE)"/g;

    fault($p, "$line: an exemplar in the text format") if !$p->{exemplars};
    fault($p, "$line: an exemplar of a $p->{type}")
        unless $series =~ /_total\b|_bucket\b/;
    fault($p, map { "$line: exemplar: $_" } (labels($labels))[1 .. 1])
        if defined((labels($labels))[1]);
    fault($p, "$line: the exemplar has too many characters")
        if length(join '', map { s/\\(.)/$1/gr } %labels) > 128;
    $p->{exemplars}{$series} = { labels => \%labels, value => $value, time => $time };
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

# The buckets of a histogram must rise up to its count.  It may have a label.
sub histogram {
    my ($metrics, $name) = @_;
    my (%buckets, @faults);

    for (keys %$metrics) {
        next unless /^${name}_bucket\{(.*,)?le="(.*?)"(,.*)?\}$/;
        my $of = join ',', map { s/^,|,$//gr } grep { defined } $1, $3;
        $buckets{$of eq '' ? '' : "{$of}"}{$2} = $metrics->{$_};
        push @faults, "$name: le=\"$2\"" unless $2 =~ /^(?:\d+\.(?:\d|\d+[1-9])|\+Inf)$/;
    }
    for my $of (sort keys %buckets) {
        my $last = 0;
        for my $bound (sort { $a <=> $b } keys %{ $buckets{$of} }) {
            push @faults, "$name$of: le=\"$bound\" falls" if $buckets{$of}{$bound} < $last;
            $last = $buckets{$of}{$bound};
        }
        push @faults, "$name$of: +Inf is not its count"
            if ($buckets{$of}{'+Inf'} // -1) != ($metrics->{"${name}_count$of"} // -2);
        push @faults, "$name$of has no sum" unless defined $metrics->{"${name}_sum$of"};
    }
    return @faults;
}

1;
