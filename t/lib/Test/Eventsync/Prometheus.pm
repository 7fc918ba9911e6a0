# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Prometheus;

# A real Prometheus with the rules of docs/alerts.yml in shorter times.  These
# replacements are all that changes:
#
#     for: TIME                  1s, except 0s
#     [5m], [6h] …               [10s], ten scrapes
#     …_seconds > N, vector(N)   11: a second more than the age at which `doctor`
#                                complains of the dispatcher
#
# It scrapes and evaluates every second.

use warnings;
use strict;

use JSON::PP;

use Test::Eventsync;

# The rules; undef if a replacement finds nothing.
sub rules {
    my ($text) = @_;
    my $n = ($text =~ s/^( +for: )[1-9].*/${1}1s/mg)
        && ($text =~ s/\[\d+[smhd]\]/[10s]/g)
        && ($text =~ s/(_seconds > )\d+$/${1}11/mg)
        && ($text =~ s/vector\(\d+\)/vector(11)/g);
    return $n ? $text : undef;
}

sub program { return (grep { -x } map { "$_/prometheus" } split /:/, $ENV{PATH})[0] }

# Jobs are hashes with `name`, `path`, `targets` (host:port) and `key`, the text
# of a file for Authorization, or none.
sub start {
    my ($class, $t, @jobs) = @_;
    my $self = bless { t => $t, port => Test::Eventsync::free_port() }, $class;
    my $dir = $t->testdir;

    my $rules = rules($t->read_file("$Test::Eventsync::ROOT/docs/alerts.yml"))
        // die "docs/alerts.yml has no times\n";
    $t->write_file('rules.yml', $rules);
    my @configs = map { {
        job_name => $_->{job}, metrics_path => $_->{path},
        static_configs => [ map { { targets => [ $_->{target} ],
            labels => { instance => $_->{instance} } } } @{ $_->{sites} } ],
    } } @jobs;
    # JSON is YAML
    $t->write_file('prometheus.yml', encode_json({
        global => { scrape_interval => '1s', evaluation_interval => '1s' },
        rule_files => [ 'rules.yml' ], scrape_configs => \@configs }));
    $self->{process} = $t->start('prometheus', {}, program(),
        "--config.file=$dir/prometheus.yml", "--storage.tsdb.path=$dir/data",
        "--web.listen-address=127.0.0.1:$self->{port}");
    return $self;
}

sub process { $_[0]{process} }

sub api {
    my ($self, $path) = @_;
    my $answer = eval { $self->{t}->http(GET => "/api/v1/$path", {}, undef,
        port => $self->{port}) };
    return {} if !$answer || $answer->{status} != 200;
    return decode_json($answer->{body})->{data};
}

# The values of an expression by the label `instance`.
sub query {
    my ($self, $expr) = @_;
    my $data = $self->api("query?query=$expr");
    return map { $_->{metric}{instance} => $_->{value}[1] } @{ $data->{result} // [] };
}

# The alerts that fire, as Prometheus reports them; undef if it does not answer.
sub firing {
    my ($self) = @_;
    my $alerts = $self->api('alerts')->{alerts} or return;
    return [ grep { $_->{state} eq 'firing' } @$alerts ];
}

1;
