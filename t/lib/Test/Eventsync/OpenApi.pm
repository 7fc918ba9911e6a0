# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::OpenApi;

# An OpenAPI 3.1 document for tests: lists its operations, checks answers
# against its declarations, and records which declarations were used.
#
#     my $api = Test::Eventsync::OpenApi->new($text);
#     is_deeply([ $api->faults ], [], 'structure');
#     is_deeply([ $api->judge($answer, GET => '/feeds?a=1', \%headers) ], []);
#     is_deeply([ $api->unseen ], []);
#
# A declaration is, for example, a header of one status of one operation, or a
# header of a shared answer (components/responses), which counts once for all
# operations that refer to it.  Every answer must have what is `required`.
#
# It knows the keywords of JSON Schema below; any other keyword is a fault of
# the document.  An object whose schema has `properties` may have no other
# members unless `additionalProperties` allows them: clients must accept new
# members, but a test must report them.  With `allOf`, the members of all parts
# are declared.

use warnings;
use strict;

use B ();
use JSON::PP;

use Test::Eventsync::Answer;

my $coder = JSON::PP->new->utf8->canonical->allow_nonref;

# Headers that nginx adds to every answer.
my %NGINX = map { $_ => 1 } qw(server date connection content-length
    content-type transfer-encoding keep-alive last-modified);

# Keywords that validate() checks, and those that do not restrict a value.
my %KEYWORDS = map { $_ => 1 } qw(type const enum oneOf allOf properties required
    additionalProperties unevaluatedProperties maxProperties items minItems maxItems pattern
    minLength maxLength minimum maximum contentMediaType contentSchema),
    qw(description default);

sub new {
    my ($class, $text) = @_;
    my $self = bless { doc => $coder->decode($text), seen => {} }, $class;

    $self->{operations} = [ map { $self->path_operations($_) }
        sort keys %{ $self->{doc}{paths} } ];
    return $self;
}

sub doc        { $_[0]{doc} }
sub operations { @{ $_[0]{operations} } }

# Resolves a reference; returns anything else unchanged.
sub resolve {
    my ($self, $node) = @_;

    while (ref $node eq 'HASH' && defined $node->{'$ref'}) {
        my $at = $self->{doc};
        my ($path) = $node->{'$ref'} =~ m{^#/(.+)} or return;
        for my $name (split m{/}, $path) {
            $name =~ s/~1/\//g;
            $name =~ s/~0/~/g;
            $at = ref $at eq 'HASH' ? $at->{$name} : undef;
        }
        $node = $at;
    }
    return $node;
}

sub path_operations {
    my ($self, $path) = @_;
    my $item = $self->{doc}{paths}{$path};
    my $regex = join '[^/]+', map { quotemeta } split /\{\w+\}/, $path, -1;
    my @operations;

    for my $method (grep { /^(?:get|put|post|delete|patch)$/ }
        sort keys %$item)
    {
        my $op = $item->{$method};
        my $body = $self->resolve($op->{requestBody});
        push @operations, {
            id => $op->{operationId}, method => uc $method, path => $path,
            regex => qr/^$regex$/, op => $op,
            params => [ map { $self->resolve($_) }
                @{ $item->{parameters} // [] }, @{ $op->{parameters} // [] } ],
            body => $body ? $body->{content} : undef,
            responses => { map { $_ => $self->resolve($op->{responses}{$_}) }
                keys %{ $op->{responses} } },
            where => { map { $_ => where($op, $_) } keys %{ $op->{responses} } },
        };
    }
    return @operations;
}

# The declaration of the answers of a status.
sub where {
    my ($op, $status) = @_;
    my ($shared) = ($op->{responses}{$status}{'$ref'} // '') =~ m{([^/]+)$};
    return $shared // "$op->{operationId} $status";
}

sub operation {
    my ($self, $method, $path) = @_;
    my ($found) = grep { $_->{method} eq $method && $path =~ $_->{regex} }
        sort { length $b->{path} <=> length $a->{path} } $self->operations;
    return $found;
}

###############################################################################
# structure

sub faults {
    my ($self) = @_;
    my $doc = $self->{doc};
    my (@faults, %refs, %ids);

    push @faults, 'is not of 3.1' if $doc->{openapi} !~ /^3\.1\.\d+$/;
    $self->walk($doc, sub {
        my ($node) = @_;
        my $ref = $node->{'$ref'} // return;
        return if ref $ref;
        push @faults, "$ref leads nowhere" unless $self->resolve($node);
        $refs{$ref}++;
    });

    push @faults, $self->schema_faults;
    my %tags = map { $_->{name} => 1 } @{ $doc->{tags} };
    for my $operation ($self->operations) {
        my $id = $operation->{id} // "$operation->{method} $operation->{path}";
        push @faults, "$id is there twice" if $ids{$id}++;
        push @faults, "$id: $_" for $self->operation_faults($operation, \%tags);
    }

    for my $kind (qw(parameters headers responses schemas)) {
        for my $name (sort keys %{ $doc->{components}{$kind} }) {
            push @faults, "$kind/$name is not used"
                unless $refs{"#/components/$kind/$name"};
        }
    }
    return @faults;
}

# Finds keywords that validate() would ignore, in all schemas of the document.
sub schema_faults {
    my ($self) = @_;
    my (@faults, %seen);

    my @schemas = map { [ "schemas/$_" => $self->{doc}{components}{schemas}{$_} ] }
        sort keys %{ $self->{doc}{components}{schemas} };
    $self->walk($self->{doc}, sub {
        my ($node) = @_;
        push @schemas, [ ($node->{name} // $node->{description} // 'content')
            => $node->{schema} ] if ref $node->{schema} eq 'HASH';
    });

    while (my $next = shift @schemas) {
        my ($at, $schema) = @$next;
        next if ref $schema ne 'HASH' || $seen{$schema}++;
        if ($schema->{'$ref'}) {
            push @faults, "$at: \$ref is not alone" if keys %$schema > 1;
            next;
        }
        push @faults, map { "$at: the judge does not know $_" }
            grep { !$KEYWORDS{$_} } sort keys %$schema;
        push @schemas, map { [ "$at/$_" => $schema->{properties}{$_} ] }
            sort keys %{ $schema->{properties} // {} };
        push @schemas, map { [ "$at/$_" => $schema->{$_} ] }
            qw(additionalProperties items contentSchema);
        push @faults, "$at: unevaluatedProperties is not false"
            if $schema->{unevaluatedProperties};
        push @schemas, map { my $how = $_; map { [ "$at/$how" => $_ ] }
            @{ $schema->{$how} // [] } } qw(oneOf allOf);
    }
    return @faults;
}

sub walk {
    my ($self, $node, $visit) = @_;

    if (ref $node eq 'HASH') {
        $visit->($node);
        $self->walk($_, $visit) for values %$node;
    } elsif (ref $node eq 'ARRAY') {
        $self->walk($_, $visit) for @$node;
    }
}

sub operation_faults {
    my ($self, $operation, $tags) = @_;
    my $op = $operation->{op};
    my (@faults, %in);

    for my $param (@{ $operation->{params} }) {
        my $what = "$param->{in} parameter $param->{name}";
        push @faults, "$what is there twice" if $in{"$param->{in} $param->{name}"}++;
        push @faults, "$what has no description" unless $param->{description};
        push @faults, "$what has no schema" unless $param->{schema};
        push @faults, "$what is not required"
            if $param->{in} eq 'path' && !$param->{required};
    }
    my %names = map { $_ => 1 } $operation->{path} =~ /\{(\w+)\}/g;
    push @faults, "path parameter $_ is not declared"
        for grep { !$in{"path $_"} } sort keys %names;
    push @faults, "$_ is not in the path"
        for grep { /^path (\w+)/ && !$names{$1} } sort keys %in;

    push @faults, 'has no summary' unless $op->{summary};
    push @faults, "tag $_ is not declared" for grep { !$tags->{$_} } @{ $op->{tags} };
    push @faults, 'has no answer of success'
        unless grep { /^2/ } keys %{ $operation->{responses} };
    for my $status (sort keys %{ $operation->{responses} }) {
        my $response = $operation->{responses}{$status} // {};
        push @faults, "status $_" for grep { !/^[2-5]\d\d$/ } $status;
        push @faults, "$status has no description" unless $response->{description};
        push @faults, map { "$status: header $_ has no schema" }
            grep { !$self->resolve($response->{headers}{$_})->{schema} }
            sort keys %{ $response->{headers} };
        push @faults, map { "$status: $_ has no schema" }
            grep { !$response->{content}{$_}{schema} }
            sort keys %{ $response->{content} };
    }
    return @faults;
}

###############################################################################
# answers

# Returns the faults of the answer to a request, whose target is relative to the
# directory of the document, and records the declarations that it used.
sub judge {
    my ($self, $answer, $method, $target, $headers) = @_;

    my ($path, $query) = split /\?/, $target, 2;
    my $operation = $self->operation($method, $path)
        or return "$method $path is no operation";
    my $id = $operation->{id};
    my $status = $answer->{status};
    my $response = $operation->{responses}{$status}
        or return "$id: $status is not declared: $answer->{body}";

    $self->{seen}{"$id: status $status"}++;
    $self->note_request($operation, $query // '', $headers, $status);
    return map { "$id: $status: $_" }
        $self->judge_response($operation->{where}{$status}, $response, $answer);
}

sub note_request {
    my ($self, $operation, $query, $headers, $status) = @_;
    my $id = $operation->{id};
    my %given = map { 'header ' . lc $_ => 1 } keys %$headers;

    # The parameters of a refused request do not count as used.
    return if $status >= 400;

    $given{"query $_"} = 1 for map { (split /=/)[0] } split /&/, $query;
    for my $param (@{ $operation->{params} }) {
        my $name = $param->{in} eq 'header' ? lc $param->{name} : $param->{name};
        $self->{seen}{"$id: $param->{in} $param->{name}"}++ if $given{"$param->{in} $name"};
    }

    my $content = $operation->{body} or return;
    my ($type) = map { $headers->{$_} } grep { lc eq 'content-type' } keys %$headers;
    return unless defined $type;
    $type = '*/*' unless $content->{$type};
    $self->{seen}{"$id: body $type"}++ if $content->{$type};
}

sub judge_response {
    my ($self, $where, $response, $answer) = @_;
    my %declared = map { lc $_ => $_ } keys %{ $response->{headers} };
    my $content = $response->{content} // {};
    my @faults = map { "has no header $_" }
        grep { $self->resolve($response->{headers}{$_})->{required}
            && !defined $answer->{headers}{ lc $_ } }
        sort keys %{ $response->{headers} };

    for my $name (sort keys %{ $answer->{headers} }) {
        next if $NGINX{$name};
        my $header = $declared{$name};
        if (!$header) {
            push @faults, "header $name is not declared";
            next;
        }
        $self->{seen}{"$where: header $header"}++;
        my $schema = $self->resolve($response->{headers}{$header})->{schema};
        push @faults, map { "header $name: $_" }
            $self->validate($schema, $self->value($schema, $answer->{headers}{$name}));
    }

    my ($type) = ($answer->{headers}{'content-type'} // '') =~ /^([^;\s]*)/;
    if ($type eq '' && !%$content) {
        push @faults, 'has a body' if length $answer->{body};
        return @faults;
    }
    return @faults, "media type '$type' is not declared" unless $content->{$type};
    $self->{seen}{"$where: media type $type"}++;
    return @faults, $self->judge_body($content->{$type}{schema}, $type, $answer->{body});
}

sub judge_body {
    my ($self, $schema, $type, $body) = @_;

    return $self->validate($schema, $body) unless $type =~ /json$/ && $type !~ /x-ndjson$/;
    return if ($self->resolve($schema)->{type} // '') eq 'string';
    my $value = eval { $coder->decode($body) };
    return "is no JSON: $@" if $@;
    return 'has a member twice' if Test::Eventsync::Answer::repeats($body, $value);
    return $self->validate($schema, $value);
}

# Converts the text of a header to the type of its schema.
sub value {
    my ($self, $schema, $text) = @_;
    $schema = $self->resolve($schema);
    return ($schema->{type} // '') eq 'integer' && $text =~ /^-?\d+$/ ? 0 + $text : $text;
}

# The declarations that no answer or request used.
sub unseen {
    my ($self) = @_;
    my %want;

    for my $operation ($self->operations) {
        my $id = $operation->{id};
        $want{"$id: $_->{in} $_->{name}"} = 1
            for grep { $_->{in} ne 'path' } @{ $operation->{params} };
        $want{"$id: body $_"} = 1 for keys %{ $operation->{body} // {} };
        for my $status (keys %{ $operation->{responses} }) {
            my $response = $operation->{responses}{$status};
            # which other methods of the path get
            $want{"$id: status $status"} = 1 if $status != 405;
            my $where = $operation->{where}{$status};
            $want{"$where: header $_"} = 1 for keys %{ $response->{headers} // {} };
            $want{"$where: media type $_"} = 1 for keys %{ $response->{content} // {} };
        }
    }
    return grep { !$self->{seen}{$_} } sort keys %want;
}

###############################################################################
# JSON Schema

sub type_of {
    my ($value) = @_;

    return 'null' unless defined $value;
    return 'boolean' if JSON::PP::is_bool($value);
    return 'object' if ref $value eq 'HASH';
    return 'array' if ref $value eq 'ARRAY';
    my $flags = B::svref_2object(\$value)->FLAGS;
    return 'string' if $flags & B::SVf_POK || !($flags & (B::SVf_IOK | B::SVf_NOK));
    return $value == int $value ? 'integer' : 'number';
}

# The members that a schema of objects declares, with their schemas.
sub members {
    my ($self, $schema) = @_;

    $schema = $self->resolve($schema);
    return ((map { $self->members($_) } @{ $schema->{allOf} // [] }),
        %{ $schema->{properties} // {} });
}

# Returns the faults of a value, each with a JSON Pointer.  `part`: the schema
# is one of an `allOf`, so that others may declare members as well.
sub validate {
    my ($self, $schema, $value, $at, $part) = @_;
    my @faults;

    $at //= '';
    $schema = $self->resolve($schema);
    return @faults if !ref $schema ? $schema : JSON::PP::is_bool($schema) && $schema;
    return "$at: is not allowed" unless ref $schema eq 'HASH';

    my @unknown = grep { !$KEYWORDS{$_} } sort keys %$schema;
    die "$at: unknown keywords: @unknown\n" if @unknown;

    my $type = type_of($value);
    my $text = $coder->encode($value);

    if (defined $schema->{type}) {
        my @types = ref $schema->{type} ? @{ $schema->{type} } : $schema->{type};
        return "$at: is $type, not @types"
            unless grep { $_ eq $type || ($_ eq 'number' && $type eq 'integer') } @types;
    }
    push @faults, "$at: is $text, not " . $coder->encode($schema->{const})
        if exists $schema->{const} && $coder->encode($schema->{const}) ne $text;
    push @faults, "$at: is $text, none of " . $coder->encode($schema->{enum})
        if $schema->{enum} && !grep { $coder->encode($_) eq $text } @{ $schema->{enum} };
    if ($schema->{oneOf}) {
        my @matches = grep { !$self->validate($_, $value, $at) } @{ $schema->{oneOf} };
        push @faults, "$at: $text matches " . @matches . ' of oneOf' if @matches != 1;
    }

    push @faults, map { $self->validate($_, $value, $at, 1) }
        @{ $schema->{allOf} // [] };
    push @faults, $self->validate_object($schema, $value, $at, $part)
        if $type eq 'object';
    push @faults, $self->validate_array($schema, $value, $at) if $type eq 'array';
    if ($type eq 'string') {
        push @faults, $self->validate_lines($schema->{contentSchema}, $value, $at)
            if ($schema->{contentMediaType} // '') =~ /ndjson$/;
        push @faults, "$at: '$value' is not as $schema->{pattern}"
            if defined $schema->{pattern} && $value !~ /$schema->{pattern}/;
        push @faults, "$at: is too short"
            if defined $schema->{minLength} && length $value < $schema->{minLength};
        push @faults, "$at: is too long"
            if defined $schema->{maxLength} && length $value > $schema->{maxLength};
    }
    if ($type eq 'integer' || $type eq 'number') {
        push @faults, "$at: $value is less than $schema->{minimum}"
            if defined $schema->{minimum} && $value < $schema->{minimum};
        push @faults, "$at: $value is more than $schema->{maximum}"
            if defined $schema->{maximum} && $value > $schema->{maximum};
    }
    return @faults;
}

sub validate_object {
    my ($self, $schema, $value, $at, $part) = @_;
    my $properties = $schema->{properties} // {};
    my $others = $schema->{additionalProperties};
    my %declared = $self->members($schema);
    my @faults = map { "$at: has no $_" }
        grep { !exists $value->{$_} } @{ $schema->{required} // [] };
    push @faults, "$at: has too many"
        if defined $schema->{maxProperties} && keys %$value > $schema->{maxProperties};

    for my $name (sort keys %$value) {
        my $member = $properties->{$name}
            // (ref $others eq 'HASH' ? $others : undef);
        if (defined $member) {
            push @faults, $self->validate($member, $value->{$name}, "$at/$name");
        } elsif (defined $others) {
            push @faults, "$at: $name is not declared" unless $others;
        } elsif (!$part && %declared && !$declared{$name}) {
            push @faults, "$at: $name is not declared";
        }
    }
    return @faults;
}

# Checks text with JSON on each line, as the array of all lines.
sub validate_lines {
    my ($self, $schema, $text, $at) = @_;
    my ($n, @faults, @values) = (0);

    push @faults, "$at: does not end with a line" if $text =~ /[^\n]\z/;
    for my $line (split /\n/, $text) {
        push @values, eval { $coder->decode($line) };
        push @faults, "$at: line $n is no JSON" if $@;
        $n++;
    }
    return @faults, @faults ? () : $self->validate($schema, \@values, $at);
}

sub validate_array {
    my ($self, $schema, $value, $at) = @_;
    my @faults;

    push @faults, "$at: has too few" if @$value < ($schema->{minItems} // 0);
    push @faults, "$at: has too many"
        if defined $schema->{maxItems} && @$value > $schema->{maxItems};
    if ($schema->{items}) {
        push @faults, $self->validate($schema->{items}, $value->[$_], "$at/$_")
            for 0 .. $#$value;
    }
    return @faults;
}

1;
