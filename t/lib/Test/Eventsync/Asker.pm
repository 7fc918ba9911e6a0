# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Asker;

# Sends requests and checks their answers with the OpenAPI document.  Each
# request is two or three tests: the status is the expected one, the document
# declares the answer, and it allows a request that was accepted.
#
#     my $asker = Test::Eventsync::Asker->new($t, $api);
#     my $answer = $asker->ask(200, GET => '/feeds', key => $key);
#     is_deeply([ $asker->types('in-use') ], ['rotateSecret']);

use warnings;
use strict;

use Digest::SHA qw(sha256_base64);
use JSON::PP;
use Test::More;

my $coder = JSON::PP->new->utf8->canonical->allow_nonref;

sub new {
    my ($class, $t, $api) = @_;
    return bless { t => $t, api => $api, types => {}, policies => {} }, $class;
}

# Options: key (undef: none), headers, body (a structure is encoded), port,
# prefix.
sub ask {
    my ($self, $status, $method, $target, %opts) = @_;
    my ($t, $api) = @{$self}{qw(t api)};
    my %headers = (defined $opts{key} ? (authorization => "Bearer $opts{key}") : (),
        %{ $opts{headers} // {} });
    my $body = $opts{body};

    if (defined $body) {
        $body = $coder->encode($body) if ref $body;
        $headers{'content-type'} //= 'application/json';
        $headers{'Content-Encoding'} //= 'identity';
        $headers{$_} //= 'sha-256=:' . sha256_base64($body) . '=:'
            for qw(Content-Digest Repr-Digest);
    }
    my $answer = $t->http($method => ($opts{prefix} // '/v1') . $target, \%headers, $body,
        port => $t->port($opts{port} // 0));
    my $what = "$method " . substr($target, 0, 60);

    is($answer->{status}, $status, "$what: $status") or diag($answer->{body});
    $answer->{json} = Test::Eventsync::json($answer->{body});
    is_deeply([ $api->judge($answer, $method, $target, \%headers) ], [], "$what: as declared");
    $self->note_problem($api->operation($method, $target =~ s/\?.*//r), $answer->{json})
        if $status >= 400 && ref $answer->{json} eq 'HASH';
    $self->takes($method, $target, \%headers, $body) if defined $body && $status < 300;
    return $answer;
}

sub note_problem {
    my ($self, $operation, $problem) = @_;
    my $type = $problem->{type} // $problem->{error};
    $self->{types}{ $type =~ s/.*[:#]//r }{ $operation->{id} }++ if $operation && defined $type;
    $self->{policies}{$_}++ for @{ $problem->{'violated-policies'} // [] };
}

# The operations that were answered with a type of problem, by its name, and
# the rate limits that have refused.
sub types { return sort keys %{ $_[0]{types}{ $_[1] } // {} } }
sub policies { return sort keys %{ $_[0]{policies} } }

# The document must allow a request that was accepted.
sub takes {
    my ($self, $method, $target, $headers, $body) = @_;
    my $api = $self->{api};
    my $type = $headers->{'content-type'};
    my $schema = $api->operation($method, $target =~ s/\?.*//r)->{body};
    $schema = ($schema->{$type} // {})->{schema};

    return if !$schema || $type !~ m{^application/(?:\w+[+-])*json$|\+json$};
    is_deeply([ $api->validate($schema, $coder->decode($body)) ], [],
        "$method $target: and as it may be asked");
}

1;
